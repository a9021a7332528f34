/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/dnslist.h"

#include "engine/ip.h"

#include <stdio.h>
#include <stdlib.h>

const char *
dnslist_question(const char *zone, const struct ip *ip, char out[static DNSLIST_QUESTION_SIZE])
{
    size_t used = 0;

    if (ip->family == 4) {
        snprintf(out, DNSLIST_QUESTION_SIZE, "%u.%u.%u.%u.%.*s", ip->bytes[3], ip->bytes[2],
                 ip->bytes[1], ip->bytes[0], DNSLIST_ZONE_MAX, zone);
        return out;
    }
    for (size_t i = sizeof(ip->bytes); i-- > 0;)
        used += (size_t)snprintf(out + used, DNSLIST_QUESTION_SIZE - used, "%x.%x.",
                                 ip->bytes[i] & 0xf, ip->bytes[i] >> 4);
    snprintf(out + used, DNSLIST_QUESTION_SIZE - used, "%.*s", DNSLIST_ZONE_MAX, zone);
    return out;
}

void
dnslists_free(struct dnslist *lists, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(lists[i].name);
        free(lists[i].zone);
        free(lists[i].codes);
    }
    free(lists);
}
