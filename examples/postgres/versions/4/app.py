"""Members of a club, on PostgreSQL. Version 4: visits are not counted any more."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

VERSION = 4
LIST = "SELECT id, first, last FROM members ORDER BY id DESC LIMIT 20"
ADD = "INSERT INTO members (first, last) VALUES (%(first)s, %(last)s) RETURNING id"
VISIT = "SELECT 0 FROM members WHERE id = %(id)s"
FIND = "SELECT first, last, 0 FROM members WHERE id = %(id)s"


def ask(statement, **values):
    # The URL that Switchover gives leads to the schema of this version.
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        return connection.execute(statement, values).fetchall()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/up":
            ask("SELECT 1")
            return self.answer(200, {"version": VERSION})
        if self.path.startswith("/members/"):
            rows = ask(FIND, id=int(self.path.rsplit("/", 1)[1]))
            if not rows:
                return self.answer(404, {"error": "nobody"})
            first, last, visits = rows[0]
            return self.answer(200, {"version": VERSION, "first": first, "last": last, "visits": visits})
        self.answer(200, {"version": VERSION, "members": len(ask(LIST))})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        if self.path == "/members":
            return self.answer(201, {"version": VERSION, "id": ask(ADD, **body)[0][0]})
        rows = ask(VISIT, id=int(self.path.split("/")[2]))
        self.answer(200, {"version": VERSION, "visits": rows[0][0]})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
