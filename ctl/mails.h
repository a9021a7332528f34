/*
 * Messages under way, as a log tells of them: what was said of each so far.  Pure.
 *
 * Queue ids may be used again as soon as a message left the queue: whoever begins under one that
 * is taken is the new one.  Of too many messages those go that nothing was heard of for longest.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_MAILS_H
#define CTL_MAILS_H

#include "engine/ip.h"
#include "lib/cursor.h"
#include "lib/maillog.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
    MAILS_MAX = 200 * 1000,             /* messages that are known */
    MAILS_BYTES_MAX = 64 * 1024 * 1024, /* that they take */
};

struct mails;
struct stream;

struct mail {
    /* Mails' own. */
    TAILQ_ENTRY(mail) order; /* the one heard of longest ago first */
    struct mail *chain;
    size_t id_length;
    char id[MAILLOG_QUEUE_ID_MAX];
    uint64_t *tried; /* owned: a table of hashes of recipients that come again */
    uint32_t tried_count, tried_room;

    /* Its owner's, by mails_keep(); NULL: not told.  All end in NUL. */
    char *sender, *login, *service;
    /* The owner's, and zero at first. */
    bool begun;       /* its beginning is in the log */
    bool by_client;   /* a client or a program brought it; else Postfix itself made it, if begun */
    bool cleaned;     /* cleanup(8) told of it */
    bool active;      /* the queue manager took it up: sender and came_ms are there */
    bool counted;     /* something of it was told on */
    struct ip client; /* family 0: not known, or with by_client a program on this host */
    int64_t came_ms;
    const struct stream *stream, *perhaps; /* NULL: not looked at */
};

struct mails *mails_new(void);
void mails_free(struct mails *mails); /* takes NULL */

/* The message of that queue id, or NULL; it is heard of now.  Until the next mails_begin(). */
struct mail *mails_find(struct mails *mails, struct span queue_id);

/* A new one; whoever had its queue id is gone. */
struct mail *mails_begin(struct mails *mails, struct span queue_id);

/* It left the queue. */
void mails_drop(struct mails *mails, struct span queue_id);

/* A copy of text, in place of what *place has, which is a member of mail; text empty: NULL. */
void mails_keep(struct mails *mails, char **place, struct span text);

/* It will be tried again for this recipient; and was it said to be? */
void mails_note_tried(struct mails *mails, struct mail *mail, struct span recipient);
bool mails_was_tried(const struct mail *mail, struct span recipient);

/* So many had to go because there were too many. */
uint64_t mails_forgotten(const struct mails *mails);

#endif
