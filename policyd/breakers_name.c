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
breakers_names(const char *key, struct breakers_names *ret_names)
{
    struct breakers_names names = {.scope = BREAKERS_SCOPES, .other = ""};
    const char *rest = key + strlen(PREFIX), *slash;
    size_t length;

    if (strncmp(key, PREFIX, strlen(PREFIX)) != 0)
        return false;
    length = strcspn(rest, "/");
    for (int i = 0; i < BREAKERS_SCOPES; i++)
        if (strlen(scopes[i]) == length && strncmp(rest, scopes[i], length) == 0)
            names.scope = (enum breakers_scope)i;
    if (names.scope == BREAKERS_SCOPES || rest[length] != '/')
        return false;
    rest += length + 1;
    if (names.scope != BREAKERS_ACCOUNT) {
        slash = strchr(rest, '/');
        length = slash != NULL ? (size_t)(slash - rest) : strlen(rest);
        if (length > ADDRESS_NAME_MAX || (slash == NULL) != (names.scope == BREAKERS_ADDRESS))
            return false;
        snprintf(names.address, sizeof(names.address), "%.*s", (int)length, rest);
        rest = slash != NULL ? slash + 1 : "";
    }
    names.other = rest;
    *ret_names = names;
    return true;
}

bool
breakers_bind(const struct conf *conf, const char *key, struct breakers_whose *ret_whose)
{
    struct breakers_names names;

    if (!breakers_names(key, &names))
        return false;
    *ret_whose = (struct breakers_whose){.scope = names.scope};
    if (names.scope != BREAKERS_ACCOUNT)
        ret_whose->address = snapshot_find_address(conf->snapshot, names.address);
    if (names.scope == BREAKERS_PROVIDER)
        ret_whose->provider = snapshot_find_provider(conf->snapshot, names.other);
    if (names.scope == BREAKERS_DOMAIN || names.scope == BREAKERS_ACCOUNT)
        ret_whose->name = names.other;
    return true;
}

bool
breakers_is_bound(const struct breakers_whose *whose)
{
    return (whose->scope == BREAKERS_ACCOUNT || whose->address != NULL) &&
           (whose->scope != BREAKERS_PROVIDER || whose->provider != NULL);
}

const char *
breakers_title(const char *key, char text[static BREAKERS_TITLE_SIZE])
{
    struct breakers_names names;

    if (!breakers_names(key, &names))
        snprintf(text, BREAKERS_TITLE_SIZE, "?");
    else if (names.scope == BREAKERS_ACCOUNT)
        snprintf(text, BREAKERS_TITLE_SIZE, "mail of %.255s", names.other);
    else if (names.scope == BREAKERS_ADDRESS)
        snprintf(text, BREAKERS_TITLE_SIZE, "%s", names.address);
    else
        snprintf(text, BREAKERS_TITLE_SIZE, "%s at %.255s", names.address, names.other);
    return text;
}
