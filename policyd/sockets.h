/*
 * The listening sockets: taken from systemd when it has them, else made.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_SOCKETS_H
#define POLICYD_SOCKETS_H

struct conf;
struct daemon_user;
struct err;

struct sockets {
    int lookup;
    int control;
    int policy; /* -1: the configuration has none */
};

/*
 * Sockets that systemd handed over are known by their names (FileDescriptorName=
 * "lookup", "control", "policy") or by their addresses.  One that is none of them is an error:
 * it would swallow connections.  Returns 0 or a negative errno.
 */
int sockets_open(const struct conf *conf, const struct daemon_user *user,
                 struct sockets *ret_sockets, struct err *err);

#endif
