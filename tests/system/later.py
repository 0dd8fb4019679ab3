"""``passband``, as it would be with a schema change more: ``python later.py serve --config FILE``.

The change renames what every hand-over uses. Nodes of before need the old name, so there are both until none of them
lives; and it adds a column to the busiest table, which takes a lock that nobody may hold meanwhile.
"""

from passband.cli import main
from passband.store import postgres_pipe, queries
from passband.store.schema import level_of

OLD, NEW = "passband_expect(", "passband_expected("

_number = level_of(queries.migrations("postgres")) + 1
PRE, POST = f"{_number:04}_pre_rename", f"{_number:04}_post_rename"
CHANGES = [
    (PRE, f"""ALTER TABLE recipients ADD COLUMN colour int NOT NULL DEFAULT 0;
              CREATE FUNCTION {NEW}boolean) RETURNS void LANGUAGE plpgsql AS $$
              BEGIN
                IF $1 IS NOT TRUE THEN
                  RAISE EXCEPTION 'not as expected' USING ERRCODE = '{postgres_pipe.UNEXPECTED}';
                END IF;
              END $$"""),
    (POST, f"DROP FUNCTION {OLD}boolean)"),
]  # fmt: skip


def change() -> None:
    """Let this process be of the version that knows the change; before the engine is imported."""
    for statements in (postgres_pipe.Q, postgres_pipe.EXPECT):
        statements |= {name: text.replace(OLD, NEW) for name, text in statements.items()}
    all_of_them = [*queries.migrations("postgres"), *CHANGES]
    queries.migrations = lambda engine: all_of_them


if __name__ == "__main__":
    change()
    main()
