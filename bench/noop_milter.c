/*
 * The least that a milter can be: the steps that postpool-milter leaves out
 * are left out here, too, and each message gets one header.  What is measured
 * above this is ours, what is below it is libmilter's and Postfix'.
 *
 * SPDX-License-Identifier: MIT
 */
#include <libmilter/mfapi.h>
#include <stdbool.h>
#include <stdio.h>

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long unused2,
             unsigned long unused3, unsigned long *ret_actions, unsigned long *ret_steps,
             unsigned long *ret_unused2, unsigned long *ret_unused3)
{
    (void)unused2;
    (void)unused3;
    *ret_actions = SMFIF_ADDHDRS;
    if (actions & SMFIF_SETSYMLIST) {
        *ret_actions |= SMFIF_SETSYMLIST;
        smfi_setsymlist(ctx, SMFIM_CONNECT, (char *)"{daemon_name}");
        smfi_setsymlist(ctx, SMFIM_ENVFROM, (char *)"i {auth_authen} {mail_addr}");
        smfi_setsymlist(ctx, SMFIM_ENVRCPT, (char *)"{rcpt_mailer}");
        smfi_setsymlist(ctx, SMFIM_EOM, (char *)"i");
    }
    *ret_steps =
        steps & (SMFIP_NOHELO | SMFIP_NODATA | SMFIP_NOEOH | SMFIP_NOBODY | SMFIP_NOUNKNOWN |
                 SMFIP_NR_CONN | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_HDR);
    *ret_unused2 = 0;
    *ret_unused3 = 0;
    smfi_setpriv(ctx, (void *)*ret_steps);
    return SMFIS_CONTINUE;
}

static sfsistat
go_on(SMFICTX *ctx, unsigned long no_reply)
{
    return (unsigned long)smfi_getpriv(ctx) & no_reply ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static sfsistat
on_connect(SMFICTX *ctx, char *name, struct sockaddr *sa)
{
    (void)name;
    (void)sa;
    return go_on(ctx, SMFIP_NR_CONN);
}

static sfsistat
on_mail(SMFICTX *ctx, char **arguments)
{
    (void)arguments;
    return go_on(ctx, SMFIP_NR_MAIL);
}

static sfsistat
on_rcpt(SMFICTX *ctx, char **arguments)
{
    (void)arguments;
    return go_on(ctx, SMFIP_NR_RCPT);
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
    (void)name;
    (void)value;
    return go_on(ctx, SMFIP_NR_HDR);
}

static sfsistat
on_end_of_message(SMFICTX *ctx)
{
    return smfi_addheader(ctx, (char *)"X-Postpool-Stream", (char *)"default") == MI_SUCCESS
               ? SMFIS_CONTINUE
               : SMFIS_TEMPFAIL;
}

static sfsistat
on_close(SMFICTX *ctx)
{
    smfi_setpriv(ctx, NULL);
    return SMFIS_CONTINUE;
}

static struct smfiDesc description = {
    .xxfi_name = (char *)"noop",
    .xxfi_version = SMFI_VERSION,
    .xxfi_flags = SMFIF_ADDHDRS | SMFIF_SETSYMLIST,
    .xxfi_connect = on_connect,
    .xxfi_envfrom = on_mail,
    .xxfi_envrcpt = on_rcpt,
    .xxfi_header = on_header,
    .xxfi_eom = on_end_of_message,
    .xxfi_close = on_close,
    .xxfi_negotiate = on_negotiate,
};

int
main(int argc, char **argv)
{
    if (argc != 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: bin_noop_milter SOCKET, as libmilter writes it: unix:/path\n");
        return 2;
    }
    if (smfi_register(description) == MI_FAILURE || smfi_setconn(argv[1]) == MI_FAILURE ||
        smfi_opensocket(true) == MI_FAILURE) {
        fprintf(stderr, "bin_noop_milter: cannot listen on %s\n", argv[1]);
        return 1;
    }
    return smfi_main() == MI_SUCCESS ? 0 : 1;
}
