# SPDX-License-Identifier: MIT
"""A stand-in for Dovecot's auth server: every user's password is "secret"."""

import base64
import os
import socketserver
import threading


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\n"
                         b"COOKIE\t00112233445566778899aabbccddeeff\nDONE\n")
        for line in self.rfile:
            fields = line.rstrip(b"\n").split(b"\t")
            if fields[0] != b"AUTH":
                continue
            response = [f[5:] for f in fields if f.startswith(b"resp=")]
            _, user, password = base64.b64decode(response[0]).split(b"\0")
            if password == b"secret":
                self.wfile.write(b"OK\t%s\tuser=%s\n" % (fields[1], user))
            else:
                self.wfile.write(b"FAIL\t%s\tuser=%s\n" % (fields[1], user))


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1000

    def handle_error(self, *_):
        pass  # a client that went away


class SaslServer:
    def __init__(self, path):
        self.path = str(path)
        self._server = _Server(self.path, _Handler)
        os.chmod(self.path, 0o666)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        os.unlink(self.path)
