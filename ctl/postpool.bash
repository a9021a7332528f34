# bash completion for postpool(1)                          -*- shell-script -*-
# SPDX-License-Identifier: MIT

# Sets COMPREPLY to those of the words that begin with what is typed.
_postpool_words()
{
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

# The same for files and folders; "-d": folders only.
_postpool_files()
{
    mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
    compopt -o filenames 2>/dev/null
}

_postpool()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local command='' verb='' i

    COMPREPLY=()
    # What stands before the cursor: the command, and the word behind it.
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            -c) [[ $command ]] || ((i++)) ;;
            --config-dir | --by | --since | --sender | --recipient | --header | --sasl-user | --client | --daemon | --stream | --address | --provider | --domain | --account | --for | --why | --volume | --days | --start | --providers | --curve | --when | --accounts | --bounced | --refused | --block | --lifetime | --seed)
                ((i++)) ;;
            -*) ;;
            *)
                if [[ ! $command ]]; then
                    command=${COMP_WORDS[i]}
                elif [[ ! $verb ]]; then
                    verb=${COMP_WORDS[i]}
                fi ;;
        esac
    done

    case $prev in
        -c) [[ $command ]] || { _postpool_files -f "$cur"; return; } ;;
        --config-dir) _postpool_files -d "$cur"; return ;;
        --header | --sasl-user | --client | --daemon | --sender | --recipient) return ;;
    esac

    case $command in
        '')
            _postpool_words "check status explain report tail feedback suspensions suspend drain resume warmup simulate replay engagement accounts grade nodes lists provider replies release reset settle store reload transports -c --json --help --version" "$cur" ;;
        check)
            if [[ $cur == -* ]]; then
                _postpool_words "--json --help" "$cur"
            elif [[ ! $verb ]]; then
                _postpool_files -f "$cur"
            fi ;;
        replies)
            _postpool_words "test --provider --table --json --help" "$cur" ;;
        feedback)
            _postpool_words "- --help" "$cur" ;;
        status | reload | provider | lists)
            _postpool_words "--json --help" "$cur" ;;
        suspend | drain | resume | suspensions)
            _postpool_words "--provider --domain --account --for --why --json --help" "$cur" ;;
        warmup)
            _postpool_words "start pause advance back --volume --why --json --help" "$cur" ;;
        simulate)
            case $prev in
                --curve) _postpool_words "day even" "$cur" ;;
                --volume | --days | --start | --providers | --when | --accounts | --bounced | --refused | --block | --lifetime | --seed) ;;
                *) _postpool_words "--volume --days --start --providers --curve --when --accounts --bounced --refused --now --block --lifetime --seed --json --help" "$cur" ;;
            esac ;;
        replay)
            case $prev in
                --stream | --lifetime) ;;
                *)
                    if [[ $cur == -* ]]; then
                        _postpool_words "--stream --lifetime --json --help" "$cur"
                    else
                        _postpool_files -f "$cur"
                    fi ;;
            esac ;;
        accounts | grade)
            _postpool_words "new trusted attention earned --grade --for --why --json --help" "$cur" ;;
        engagement)
            if [[ $verb ]]; then
                _postpool_files -f "$cur"
            else
                _postpool_words "import show test --merge --json --help" "$cur"
            fi ;;
        tail)
            _postpool_words "-n --once --stream --address --json --help" "$cur" ;;
        release | reset)
            _postpool_words "--help address/ provider/ stream/ account/ all" "$cur" ;;
        settle)
            _postpool_words "--help spent returned" "$cur" ;;
        report)
            case $prev in
                --by) _postpool_words "address stream provider account pool hour node" "$cur" ;;
                --since) _postpool_words "24h 7d 30d 90d" "$cur" ;;
                *) _postpool_words "--by --since --node --json --help" "$cur" ;;
            esac ;;
        nodes)
            _postpool_words "--json --help forget" "$cur" ;;
        store)
            _postpool_words "--help set-aside" "$cur" ;;
        explain)
            _postpool_words "--sender --recipient --header --sasl-user --client --daemon --forwarded --json --help" "$cur" ;;
        transports)
            if [[ $verb || $cur == -* ]]; then
                _postpool_words "--config-dir --force --json --help" "$cur"
            else
                _postpool_words "render diff apply remove status" "$cur"
            fi ;;
    esac
} && complete -F _postpool postpool
