/*
 * SPDX-License-Identifier: MIT
 */
#include "transport-maps/filter.h"

#include "lib/mem.h"
#include "transport-maps/cf.h"
#include "transport-maps/site.h"

#include <stdlib.h>
#include <string.h>

struct list {
    struct filter *items;
    size_t count;
};

/* Is name the transport in a value such as "smtp:[host]:25"? */
static bool
is_transport(const char *value, const char *name)
{
    size_t length = strcspn(value, ":");

    return strlen(name) == length && strncmp(value, name, length) == 0;
}

static bool
is_shared(const struct site *site, const char *name)
{
    return strcmp(name, "smtp") == 0 || strcmp(name, "relay") == 0 ||
           is_transport(site_expanded(site, "default_transport"), name) ||
           is_transport(site_expanded(site, "relay_transport"), name);
}

static void
add(struct list *list, const struct site *site, const char *content_filter)
{
    char *name = mem_strndup(content_filter, strcspn(content_filter, ":"));
    const struct cf_service *service = cf_services_find(&site->services, name, "unix");
    bool known = false;

    if (service != NULL && (cf_service_runs(service, "smtp") || cf_service_runs(service, "lmtp"))) {
        for (size_t i = 0; i < list->count; i++)
            known |= list->items[i].service == service;
        if (!known) {
            list->items = mem_resize(list->items, list->count + 1, sizeof(list->items[0]));
            list->items[list->count++] = (struct filter){service, is_shared(site, name)};
        }
    }
    free(name);
}

size_t
filter_find_all(const struct site *site, struct filter **ret_filters)
{
    struct list list = {0};

    add(&list, site, site_expanded(site, "content_filter"));
    for (size_t i = 0; i < site->services.count; i++) {
        const char *own = cf_service_option(&site->services.items[i], "content_filter");

        if (own != NULL)
            add(&list, site, own);
    }
    *ret_filters = list.items;
    return list.count;
}
