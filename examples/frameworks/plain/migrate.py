"""A framework of nobody's: files of SQL, carried out once each. `pending`, `sql` and `run`, for the step in SWITCHOVER_STEP."""

import os
import sys
from pathlib import Path

import psycopg

STEP = Path("sql") / os.environ["SWITCHOVER_STEP"]

with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS carried_out (name text PRIMARY KEY)")
    done = {name for (name,) in connection.execute("SELECT name FROM carried_out")}
    pending = [file for file in sorted(STEP.glob("*.sql")) if file.stem not in done]
    if sys.argv[1] == "pending":
        print("\n".join(file.stem for file in pending))
    elif sys.argv[1] == "sql":
        print((STEP / (os.environ["SWITCHOVER_MIGRATION"] + ".sql")).read_text())
    else:
        for file in pending:
            with connection.transaction():
                connection.execute(file.read_text())
                connection.execute("INSERT INTO carried_out VALUES (%s)", (file.stem,))
