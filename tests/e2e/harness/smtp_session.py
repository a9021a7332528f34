# SPDX-License-Identifier: MIT
"""The server's end of one SMTP connection: a state machine that is fed bytes.

Whom it belongs to (a Sink) decides: what its on_connect(), on_mail(), on_rcpt() and on_data()
return is the reply, None is yes; on_data() always has a reply.  421 ends the connection.
"""

import asyncio

from .delivery import Delivery

LINE_MAX = 8192
DATA_MAX = 50_000_000
LINGER_S = 5  # for the other side to hang up after our last word
SILENT = b"\0"  # as a reply: say nothing, now and later
HANG_UP = b"\1"  # as a reply: end the connection without a word

COMMAND, DATA, ENDING, MUTE = range(4)  # what comes in is ...


def plain(address):
    """The address of a peer, IPv4 without its IPv6 form."""
    return address[0][7:] if address[0].startswith("::ffff:") else address[0]


def path(argument):
    """<a@b> of a command's argument, without the brackets and without parameters."""
    return argument[argument.find(b"<") + 1:argument.rfind(b">")].decode(errors="replace")


class SmtpSession(asyncio.Protocol):
    """owner: a Sink; number: which of its connections this is."""

    def __init__(self, owner, number):
        self.owner = owner
        self.number = number
        self.source = self.target = self.helo = ""
        self.delivery = None  # the transaction under way
        self._transport = None
        self._in = bytearray()
        self._out = []
        self._state = COMMAND
        self._searched = 0  # of _in, for the end of the data
        self._timer = None

    def connection_made(self, transport):
        self._transport = transport
        self.source = plain(transport.get_extra_info("peername"))
        self.target = plain(transport.get_extra_info("sockname"))
        self.owner.sessions_open.add(self)
        self._say(self.owner.on_connect(self) or b"220 sink.test ESMTP")
        self._wait()
        self._go_on()

    def connection_lost(self, _error):
        self._state = MUTE
        if self._timer:
            self._timer.cancel()
        self.owner.sessions_open.discard(self)

    def drop(self):
        """End it now, as a server that dies would."""
        self._transport.abort()

    def data_received(self, data):
        if self._state not in (ENDING, MUTE):
            self._in += data
            self._go_on()

    def eof_received(self):
        return self._state == MUTE  # who says nothing does not hang up either

    def pipelined_recipients(self):
        """Whom the commands name that came with this one."""
        return [path(line) for line in bytes(self._in).split(b"\r\n") if line[:4].upper() == b"RCPT"]

    def _go_on(self):
        """Take what is there, until a reply has to wait or more must come."""
        while self._timer is None and self._state in (COMMAND, DATA):
            if not (self._take_data() if self._state == DATA else self._take_line()):
                break
            self._wait()
        if self._timer is None:
            self._send()

    def _wait(self):
        """The owner may have all replies come late."""
        delay = self.owner.delay(self)
        if delay > 0:
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_time)

    def _on_time(self):
        self._timer = None
        self._send()
        self._go_on()

    def _say(self, reply):
        """Queue one reply: a line without its end, or several with all ends but the last."""
        if reply is SILENT:
            self._state = MUTE
        elif reply is HANG_UP:
            self._state = MUTE
            self.drop()
        else:
            self._out.append(reply + b"\r\n")
            if reply.startswith((b"421", b"221")):
                self._state = ENDING
                self._in.clear()

    def _send(self):
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()
        if self._state == ENDING:
            # Closing with something unread could take the last reply with it.
            if self._transport.can_write_eof() and not self._transport.is_closing():
                self._transport.write_eof()
            self._timer = asyncio.get_running_loop().call_later(LINGER_S, self.drop)

    def _take_line(self):
        end = self._in.find(b"\n")
        if end < 0:
            if len(self._in) > LINE_MAX:
                self._say(b"421 4.3.0 line too long")
                self._send()
            return False
        line = bytes(self._in[:end]).rstrip(b"\r")
        del self._in[:end + 1]
        on_verb = self._VERBS.get(line[:4].upper())
        if on_verb:
            on_verb(self, line)
        else:
            self._say(b"502 5.5.2 what?")
        return True

    def _on_helo(self, line):
        self.helo = line[5:].decode(errors="replace")
        lines = [b"sink.test"] + (self.owner.extensions if line[:1] in b"Ee" else [])
        self._say(b"".join(b"250-%s\r\n" % l for l in lines[:-1]) + b"250 " + lines[-1])

    def _on_mail(self, line):
        delivery = Delivery(self.source, self.target, self.number, self.helo, line[10:])
        reply = self.owner.on_mail(self, delivery)
        self.delivery = delivery if reply is None else None
        self._say(reply or b"250 2.1.0 Ok")

    def _on_rcpt(self, line):
        if self.delivery is None:
            self._say(b"503 5.5.1 no sender")
            return
        reply = self.owner.on_rcpt(self, self.delivery, path(line))
        if reply is None:
            self.delivery.rcpts.append(line[8:])
        self._say(reply or b"250 2.1.5 Ok")

    def _on_data(self, _line):
        if self.delivery is None or not self.delivery.rcpts:
            self._say(b"554 5.5.1 no valid recipients")
            return
        self._say(b"354 go on")
        self._state = DATA
        self._in[:0] = b"\r\n"
        self._searched = 0

    def _take_data(self):
        end = self._in.find(b"\r\n.\r\n", self._searched)
        if end < 0:
            self._searched = max(0, len(self._in) - 4)
            if len(self._in) > DATA_MAX:
                self._say(b"421 4.3.4 too much")
            return False
        delivery, self.delivery = self.delivery, None
        delivery.data = bytes(self._in[:end + 2]).replace(b"\r\n..", b"\r\n.")[2:]
        del self._in[:end + 5]
        self._state = COMMAND
        self._say(self.owner.on_data(self, delivery))
        return True

    def _on_rset(self, _line):
        self.delivery = None
        self._say(b"250 2.0.0 Ok")

    def _on_noop(self, _line):
        self._say(b"250 2.0.0 Ok")

    def _on_quit(self, _line):
        self._say(b"221 2.0.0 Bye")

    _VERBS = {b"EHLO": _on_helo, b"HELO": _on_helo, b"MAIL": _on_mail, b"RCPT": _on_rcpt,
              b"DATA": _on_data, b"RSET": _on_rset, b"NOOP": _on_noop, b"QUIT": _on_quit}
