/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/mails.h"

#include "engine/hash.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1 << 16 };

TAILQ_HEAD(mail_list, mail);

struct mails {
    struct mail_list all;
    struct mail *buckets[BUCKETS];
    size_t count, bytes;
    uint64_t forgotten;
};

/* No secret: nobody but Postfix chooses queue ids, and recipients do no harm. */
static uint64_t
hash_of(struct span text)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool mails ";

    return hash_sip(key, text.start, text.length);
}

static struct mail **
place_of(struct mails *mails, struct span id)
{
    struct mail **at = &mails->buckets[hash_of(id) % BUCKETS];

    while (*at != NULL &&
           ((*at)->id_length != id.length || memcmp((*at)->id, id.start, id.length) != 0))
        at = &(*at)->chain;
    return at;
}

static void
forget_text(struct mails *mails, char **place)
{
    if (*place != NULL)
        mails->bytes -= strlen(*place) + 1;
    free(*place);
    *place = NULL;
}

static void
drop(struct mails *mails, struct mail **at)
{
    struct mail *mail = *at;

    *at = mail->chain;
    TAILQ_REMOVE(&mails->all, mail, order);
    forget_text(mails, &mail->sender);
    forget_text(mails, &mail->login);
    forget_text(mails, &mail->service);
    mails->bytes -= sizeof(*mail) + mail->tried_room * sizeof(*mail->tried);
    mails->count--;
    free(mail->tried);
    free(mail);
}

struct mails *
mails_new(void)
{
    struct mails *mails = mem_new(sizeof(*mails));

    TAILQ_INIT(&mails->all);
    return mails;
}

void
mails_free(struct mails *mails)
{
    struct mail *mail;

    if (mails == NULL)
        return;
    while ((mail = TAILQ_FIRST(&mails->all)) != NULL)
        drop(mails, place_of(mails, (struct span){mail->id, mail->id_length}));
    free(mails);
}

struct mail *
mails_find(struct mails *mails, struct span queue_id)
{
    struct mail *mail = *place_of(mails, queue_id);

    if (mail != NULL) {
        TAILQ_REMOVE(&mails->all, mail, order);
        TAILQ_INSERT_TAIL(&mails->all, mail, order);
    }
    return mail;
}

struct mail *
mails_begin(struct mails *mails, struct span queue_id)
{
    struct mail *mail = mem_new(sizeof(*mail)), **at;

    mails_drop(mails, queue_id);
    while (mails->count >= MAILS_MAX || (mails->count > 0 && mails->bytes > MAILS_BYTES_MAX)) {
        struct mail *oldest = TAILQ_FIRST(&mails->all);

        drop(mails, place_of(mails, (struct span){oldest->id, oldest->id_length}));
        mails->forgotten++;
    }
    mail->id_length = queue_id.length < sizeof(mail->id) ? queue_id.length : sizeof(mail->id);
    memcpy(mail->id, queue_id.start, mail->id_length);
    at = place_of(mails, queue_id);
    mail->chain = *at;
    *at = mail;
    TAILQ_INSERT_TAIL(&mails->all, mail, order);
    mails->count++;
    mails->bytes += sizeof(*mail);
    return mail;
}

void
mails_drop(struct mails *mails, struct span queue_id)
{
    struct mail **at = place_of(mails, queue_id);

    if (*at != NULL)
        drop(mails, at);
}

void
mails_keep(struct mails *mails, char **place, struct span text)
{
    forget_text(mails, place);
    if (text.length == 0)
        return;
    *place = mem_strndup(text.start, text.length);
    mails->bytes += strlen(*place) + 1;
}

/* Where hash stands among those that were tried, or would. */
static uint64_t *
tried_place(const struct mail *mail, uint64_t hash)
{
    size_t at = hash & (mail->tried_room - 1);

    while (mail->tried[at] != 0 && mail->tried[at] != hash)
        at = (at + 1) & (mail->tried_room - 1);
    return &mail->tried[at];
}

/* Room for twice as many. */
static void
grow_tried(struct mails *mails, struct mail *mail)
{
    struct mail old = *mail;

    mail->tried_room = old.tried_room > 0 ? 2 * old.tried_room : 4;
    mail->tried = mem_array(mail->tried_room, sizeof(*mail->tried));
    for (uint32_t i = 0; i < old.tried_room; i++)
        if (old.tried[i] != 0)
            *tried_place(mail, old.tried[i]) = old.tried[i];
    mails->bytes += (mail->tried_room - old.tried_room) * sizeof(*mail->tried);
    free(old.tried);
}

void
mails_note_tried(struct mails *mails, struct mail *mail, struct span recipient)
{
    uint64_t hash = hash_of(recipient) | 1, *place;

    if (2 * (mail->tried_count + 1) > mail->tried_room)
        grow_tried(mails, mail);
    place = tried_place(mail, hash);
    mail->tried_count += *place == 0;
    *place = hash;
}

bool
mails_was_tried(const struct mail *mail, struct span recipient)
{
    return mail->tried_count > 0 && *tried_place(mail, hash_of(recipient) | 1) != 0;
}

uint64_t
mails_forgotten(const struct mails *mails)
{
    return mails->forgotten;
}
