/*
 * One event of the ring, as a line of text or of JSON.  Pure, save for the time
 * zone, which is this host's.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_STORY_PRINT_H
#define POLICYD_STORY_PRINT_H

struct buf;
struct ring_event;

void story_print_line(struct buf *out, const struct ring_event *event);
void story_print_json(struct buf *out, const struct ring_event *event);

#endif
