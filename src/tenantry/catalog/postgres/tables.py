"""The tables of a catalog in PostgreSQL, and what is asked of them.

Their names have a prefix and no schema: where they stand is a matter of the role's search path.
"""

from typing import Final

LOCK: Final = 0x7E4A417  # any number that nobody else takes

# A page of names follows the order of bytes, as it does in Python; `json` keeps the order of keys.
CREATE: Final = """
CREATE TABLE IF NOT EXISTS tenantry_catalog (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    version integer NOT NULL,
    revision bigint NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS tenantry_tenants (
    name text COLLATE "C" PRIMARY KEY,
    folded text COLLATE "C" NOT NULL UNIQUE,
    said json NOT NULL CHECK (json_typeof(said) = 'object'),
    revision bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS tenantry_changes (
    revision bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    operation text NOT NULL,
    who text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    said json,
    PRIMARY KEY (revision, name)
);
CREATE INDEX IF NOT EXISTS tenantry_changes_of ON tenantry_changes (name, revision DESC);
"""
BEGIN_HISTORY: Final = """
INSERT INTO tenantry_catalog (version) VALUES (%s) ON CONFLICT (single) DO NOTHING
"""
VERSION: Final = "SELECT version FROM tenantry_catalog"
REVISION: Final = "SELECT version, revision FROM tenantry_catalog"

# One statement sees one instant: no change can come between the counter and who changed.
# Whoever trims the history deletes its oldest revisions, so the oldest that is left tells how far
# back is known.
CHANGED: Final = """
SELECT version, revision,
       coalesce((SELECT min(revision) FROM tenantry_changes), revision + 1),
       ARRAY(SELECT name FROM tenantry_changes WHERE revision > %s LIMIT %s)
FROM tenantry_catalog
"""

ROW: Final = "SELECT name, said::text, revision FROM tenantry_tenants WHERE name = %s"
ROWS: Final = """
SELECT name, said::text, revision FROM tenantry_tenants WHERE name > %s ORDER BY name LIMIT %s
"""
NAMES: Final = "SELECT name FROM tenantry_tenants WHERE name > %s ORDER BY name LIMIT %s"
COUNT: Final = "SELECT count(*) FROM tenantry_tenants"

HISTORY: Final = """
SELECT revision, name, operation, who, at, said::text FROM tenantry_changes
WHERE %(name)s::text IS NULL OR name = %(name)s ORDER BY revision DESC, name LIMIT %(limit)s
"""

# A writer that froze must not keep the counter, and everybody, waiting.
LIMITS: Final = """
SELECT set_config('statement_timeout', %(limit)s, true),
       set_config('lock_timeout', %(limit)s, true),
       set_config('idle_in_transaction_session_timeout', %(limit)s, true)
"""
# The first thing that a writer does: its row stays locked until the end, so that no revision is
# given out before everything of the one before can be seen. A sequence does not wait like that.
COUNT_UP: Final = """
UPDATE tenantry_catalog SET revision = revision + 1 RETURNING version, revision
"""
REMOVE: Final = "DELETE FROM tenantry_tenants WHERE name = ANY(%s) RETURNING name"
TWIN: Final = """
SELECT put.name, kept.name FROM unnest(%s::text[], %s::text[]) AS put (name, folded)
JOIN tenantry_tenants AS kept USING (folded) WHERE put.name <> kept.name LIMIT 1
"""
PUT: Final = """
INSERT INTO tenantry_tenants (name, folded, said, revision)
SELECT name, folded, said::json, %s FROM unnest(%s::text[], %s::text[], %s::text[])
       AS put (name, folded, said)
ON CONFLICT (name) DO UPDATE SET said = excluded.said, revision = excluded.revision
"""
RECORD: Final = """
INSERT INTO tenantry_changes (revision, name, operation, who, said)
SELECT %s, name, operation, %s, said::json FROM unnest(%s::text[], %s::text[], %s::text[])
       AS change (name, operation, said)
"""
CHANNEL: Final = "tenantry"
NOTIFY: Final = "SELECT pg_notify(%s, %s)"
