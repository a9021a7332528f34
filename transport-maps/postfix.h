/*
 * The Postfix that runs, and what it makes of its files.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRANSPORT_MAPS_POSTFIX_H
#define TRANSPORT_MAPS_POSTFIX_H

#include <stdbool.h>
#include <sys/types.h>

struct cf_services;
struct err;

/* The process that Postfix's pid file names, when it lives; else 0. */
pid_t postfix_master(const char *queue_directory);

/* Does the Postfix with main.cf in dir run?  Asks "postfix status" only where a process lives: it
 * takes a second to say no. */
bool postfix_runs(const char *dir, const char *queue_directory);

/* Tell it to read its files.  Returns 0 or a negative errno with the reason. */
int postfix_reload(const char *dir, struct err *err);

/*
 * Have postconf read the files in dir, which hold these texts, and compare
 * what it found with all that our blocks set, and with what the site has where
 * we set nothing.  postconf's exit status alone would not do: it is 0 for much
 * that it only warns of.  Returns 0, or a negative errno with the reason.
 */
int postfix_read_back(const char *dir, const char *main_text, const char *master_text,
                      struct err *err);

/* Wait until the service can be connected to.  Returns 0, or -ETIMEDOUT with the reason. */
int postfix_wait_service(const char *queue_directory, const char *service, struct err *err);
/* Remove the sockets of services that are gone; master(8) leaves them. */
void postfix_sweep(const char *queue_directory, const struct cf_services *services);

#endif
