/*
 * What Postfix' smtpd(8) asks its access policy: reading one request.
 *
 * Source: Postfix SMTPD_POLICY_README.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef POLICYD_POLICY_REQUEST_H
#define POLICYD_POLICY_REQUEST_H

#include "lib/addr.h"

#include <stddef.h>

struct err;

enum { POLICY_REQUEST_MAX = 32 * 1024 }; /* bytes of one request */

/*
 * What is read of one request.  "": it was not there.  A value that has no room
 * is cut; of one that comes twice the first counts.
 */
struct policy_request {
    char request[32];
    char protocol_state[32];
    char instance[128];
    char client_address[64];
    char sasl_username[512];
    char sender[ADDR_MAX + 1];
    char recipient[ADDR_MAX + 1];
    char recipient_count[16];
};

/*
 * Read the first request in data: lines "name=value", and an empty one.
 * Returns how many bytes it takes; 0 when its end is not there yet; or, with
 * the reason, -EMSGSIZE for one longer than POLICY_REQUEST_MAX, and -EINVAL for
 * a line without "=", a NUL, or what is no request for a policy.
 */
int policy_request_parse(const char *data, size_t length, struct policy_request *ret_request,
                         struct err *err);

#endif
