"""Items on PostgreSQL, without a framework for requests."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

from version import COLUMN, VALUE


def ask(statement, *values):
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        return connection.execute(statement, values).fetchall()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        rows = ask(f"SELECT name, {COLUMN} FROM items ORDER BY id DESC")
        self.answer(200, {"items": len(rows), "newest": rows and rows[0][0], "writes": [COLUMN]})

    def do_POST(self):
        name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["name"]
        rows = ask(f"INSERT INTO items (name, {COLUMN}) VALUES (%s, %s) RETURNING id", name, VALUE)
        self.answer(201, {"id": rows[0][0], "writes": [COLUMN]})

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
