/*
 * Mail in Postfix's queue that has a tag in its sender.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRANSPORT_MAPS_QUEUE_H
#define TRANSPORT_MAPS_QUEUE_H

#include <stddef.h>

struct err;

/*
 * Count the messages.  With dir, where the main.cf of a running Postfix is,
 * postqueue(1) is asked; it cannot tell when Postfix does not run, so with
 * dir NULL the queue files themselves are searched: that also counts messages
 * that have a tag somewhere else near their beginning or end.  Returns 0 or a
 * negative errno with the reason.
 */
int queue_count_tagged(const char *dir, const char *queue_directory, size_t *ret_count,
                       struct err *err);

#endif
