/*
 * Waking: deferred messages are taken up before Postfix would by itself, by
 * postqueue(1), at a bounded rate and none too often (engine/recall.h).
 *
 * When the command fails, or Postfix is not there, this is said once, and mail
 * flows at Postfix' own pace; one message is tried every WAKE_PROBE_MS, until it
 * works again.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_WAKE_H
#define POLICYD_WAKE_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct conf;
struct event_base;
struct json;
struct wake;

enum { WAKE_PROBE_MS = 10 * 1000 };

struct wake *wake_new(struct event_base *base, const struct conf *conf);
void wake_free(struct wake *wake); /* takes NULL */
void wake_set_conf(struct wake *wake, const struct conf *conf);

/* May anything be woken at all, by the configuration? */
bool wake_is_on(const struct wake *wake);

/* When the next message may be woken: now_ms, or later. */
int64_t wake_ready_ms(const struct wake *wake, int64_t now_ms);

/* The same for one message, whatever the rate. */
int64_t wake_when_ms(const struct wake *wake, const char *queue_id, int64_t now_ms);

/* Wake it.  False: not now, as the two above would tell. */
bool wake_queue(struct wake *wake, const char *queue_id, int64_t now_ms);

/* The same for one that was woken, and may not have been found: how often is the caller's. */
bool wake_queue_again(struct wake *wake, const char *queue_id, int64_t now_ms);

/* It was good that it was woken: it left, or tried another address. */
void wake_helped(struct wake *wake, const char *queue_id);

/* Do not wake it before until_ms: the other side said when it may come again. */
void wake_hold(struct wake *wake, const char *queue_id, int64_t until_ms, int64_t now_ms);

/* Text or json is NULL. */
void wake_status(struct wake *wake, struct buf *text, struct json *json);

#endif
