/*
 * Which address one recipient's mail leaves from: that of the grant that is open
 * for it, else one that is decided on, and a grant is reserved.  Pure.
 *
 * For a lookup, or ahead of one: then the lookup that comes finds the grant, so
 * that who wakes a message knows that there is room for it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_CHOICE_H
#define POLICYD_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

struct decision;
struct grant_key;
struct lookup_result;
struct lookup_view;
struct pool;
struct stream;

struct choice_mail {
    const struct stream *stream;
    const char *message_id; /* of the tag, else the sender, else the recipient */
    const char *account;    /* the domain of the sender, lower case, or "" */
    const char *recipient;
    const char *domain; /* of recipient, lower case */
};

/*
 * *ret_result has what came of it.  ret_result->address NULL: one of waits, busy,
 * full, suspended and refused says why; with none of them this host has no address
 * of the pools; or it is expired, or outside the hours of its stream.  *ret_decision is only set
 * when ret_result->decided.
 *
 * A grant that is open at an address which is suspended meanwhile, or has refused
 * the message, counts as spent, and another address is decided on; not ahead of a
 * lookup, if one has asked for it.
 */
void choice_make(const struct lookup_view *view, const struct choice_mail *mail, bool ahead,
                 struct lookup_result *ret_result, struct decision *ret_decision);

/* The pool for the account's mail in the stream, by its grade. */
const struct pool *choice_pool(const struct lookup_view *view, const struct stream *stream,
                               const char *account);

/*
 * The number that grants count the account's mail in the stream by, where no more than
 * standing.under_way may be under way; 0: any number may.  Two accounts have the same one by
 * chance.
 */
uint16_t choice_account(const struct lookup_view *view, const struct stream *stream,
                        const char *account);

/* The key of its grant; there are grants. */
void choice_key(const struct lookup_view *view, const struct choice_mail *mail,
                struct grant_key *ret_key);

#endif
