/*
 * Postfix' lines in systemd's journal, entry by entry.
 *
 * An entry counts when its program names itself "postfix/..." and was run by
 * root, by Postfix' user or, as another account of the system, by a unit of Postfix,
 * as the journal saw it: whoever else has an account here cannot make one up.  The facility must be
 * "mail", which is Postfix' default.
 *
 * Each entry is told once, in the order of the journal; who keeps the place can go
 * on there after a restart, as in a file (policyd/follow.h).  The journal is read
 * from memory where it is; where it is not, reading waits for the disk, an entry
 * at a time.  To open it takes the longer the more files it has, some milliseconds
 * for a hundred: that is done at the start, when feedback.log changes, and after an
 * error.
 *
 * Only where HAVE_LIBSYSTEMD is defined.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_SYSJOURNAL_H
#define POLICYD_SYSJOURNAL_H

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct maillog_frame;
struct sysjournal;

enum { SYSJOURNAL_CURSOR_SIZE = 256 }; /* bytes; systemd 252 needs up to 150 */

/* Called from the loop.  Neither may call sysjournal_free(). */
struct sysjournal_events {
    /* The frame is gone when this returns. */
    void (*on_entry)(void *arg, const struct maillog_frame *frame);
    /* All that there is has been told; a first time when the journal was opened. */
    void (*on_idle)(void *arg);
    void *arg;
};

/*
 * Follow the journal of this host, or the one whose files are in folder, from the
 * entry behind cursor on; "": from its end.  A journal that cannot be read, or of
 * which no entry can, is tried again and again, and said once.
 */
struct sysjournal *sysjournal_new(struct event_base *base, const char *folder, const char *cursor,
                                  const struct sysjournal_events *events);
void sysjournal_free(struct sysjournal *journal); /* takes NULL */

/* The last entry that was told, also from inside on_entry; "": none yet. */
void sysjournal_where(const struct sysjournal *journal, char ret_cursor[SYSJOURNAL_CURSOR_SIZE]);

/* How long ago what is told next was logged, 0: all was told; -1: it cannot be read. */
int64_t sysjournal_lag_ms(const struct sysjournal *journal);

#endif
