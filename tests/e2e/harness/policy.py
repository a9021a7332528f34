# SPDX-License-Identifier: MIT
"""What smtpd says when it asks its access policy, good and bad."""

import itertools

from .socketmap import Socketmap

_instances = itertools.count(1)


def request(**attributes):
    """The bytes of one request; what is not said is as smtpd has it."""
    known = {"protocol_state": "RCPT", "protocol_name": "ESMTP", "client_address": "127.0.0.1",
             "client_name": "localhost", "sender": "me@site.test", "recipient": "them@one.test",
             "recipient_count": "0", "instance": "1", **attributes}
    lines = ["request=smtpd_access_policy"] + [f"{k}={v}" for k, v in known.items()]
    return "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape") + b"\n"


class Policy(Socketmap):
    """A client of the policy service, one connection."""

    def answer(self):
        """The next action, or None when the server closed the connection."""
        while b"\n\n" not in self._buffer:
            if not self._more():
                assert self._buffer == b""
                return None
        line, _, self._buffer = self._buffer.partition(b"\n\n")
        assert line.startswith(b"action="), line
        return line[len(b"action="):].decode()

    def ask(self, **attributes):  # pylint: disable=arguments-differ
        self.write(request(**attributes))
        return self.answer()

    def message(self, user, recipients, **attributes):
        """A whole transaction; returns the actions of its recipients."""
        known = {"sasl_username": user, "instance": f"i{next(_instances)}", **attributes}
        actions = [self.ask(recipient=r, **known) for r in recipients]
        self.ask(protocol_state="END-OF-MESSAGE", recipient="",
                 recipient_count=str(actions.count("DUNNO")), **known)
        return actions
