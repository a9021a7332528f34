/*
 * What the breakers of things are called, in the store and by people.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/breakers_inside.h"

#include "engine/snapshot.h"
#include "lib/conf.h"

#include <stdio.h>
#include <string.h>

static const char *const scopes[BREAKERS_SCOPES] = {"address", "provider", "domain", "account"};

#define PREFIX "breaker/"

void
breakers_key(const struct breakers_whose *whose, char key[static BREAKERS_KEY_SIZE])
{
    const char *address = whose->address != NULL ? whose->address->name : NULL;
    const char *other = whose->provider != NULL ? whose->provider->name : whose->name;

    snprintf(key, BREAKERS_KEY_SIZE, PREFIX "%s/%s%s%s", scopes[whose->scope],
             address != NULL ? address : "", address != NULL && other != NULL ? "/" : "",
             other != NULL ? other : "");
}

bool
breakers_bind(const struct conf *conf, const char *key, struct breakers_whose *ret_whose)
{
    struct breakers_whose whose = {.scope = BREAKERS_SCOPES};
    char address[ADDRESS_NAME_MAX + 1];
    const char *rest = key + strlen(PREFIX), *slash;
    size_t length;

    if (strncmp(key, PREFIX, strlen(PREFIX)) != 0)
        return false;
    length = strcspn(rest, "/");
    for (int i = 0; i < BREAKERS_SCOPES; i++)
        if (strlen(scopes[i]) == length && strncmp(rest, scopes[i], length) == 0)
            whose.scope = (enum breakers_scope)i;
    if (whose.scope == BREAKERS_SCOPES || rest[length] != '/')
        return false;
    rest += length + 1;
    slash = strchr(rest, '/');
    length = slash != NULL ? (size_t)(slash - rest) : strlen(rest);
    if (whose.scope != BREAKERS_ACCOUNT) {
        if (length > ADDRESS_NAME_MAX || (slash == NULL) != (whose.scope == BREAKERS_ADDRESS))
            return false;
        snprintf(address, sizeof(address), "%.*s", (int)length, rest);
        whose.address = snapshot_find_address(conf->snapshot, address);
        rest = slash != NULL ? slash + 1 : "";
    }
    if (whose.scope == BREAKERS_PROVIDER)
        whose.provider = snapshot_find_provider(conf->snapshot, rest);
    if (whose.scope == BREAKERS_DOMAIN || whose.scope == BREAKERS_ACCOUNT)
        whose.name = rest;
    *ret_whose = whose;
    return true;
}

bool
breakers_is_bound(const struct breakers_whose *whose)
{
    return (whose->scope == BREAKERS_ACCOUNT || whose->address != NULL) &&
           (whose->scope != BREAKERS_PROVIDER || whose->provider != NULL);
}

const char *
breakers_title(const struct breakers_whose *whose, char text[static BREAKERS_TITLE_SIZE])
{
    const char *address = whose->address != NULL ? whose->address->name : "?";

    if (whose->scope == BREAKERS_ACCOUNT)
        snprintf(text, BREAKERS_TITLE_SIZE, "mail of %.255s", whose->name);
    else if (whose->scope == BREAKERS_ADDRESS)
        snprintf(text, BREAKERS_TITLE_SIZE, "%s", address);
    else
        snprintf(text, BREAKERS_TITLE_SIZE, "%s at %.255s", address,
                 whose->scope == BREAKERS_DOMAIN ? whose->name
                 : whose->provider != NULL       ? whose->provider->name
                                                 : "?");
    return text;
}
