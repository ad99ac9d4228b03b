# bash completion for pc4patroni
# Written by: go test ./internal/config -run TestCompletion -update
_pc4patroni() {
    local cur=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} words=
    if [[ $cur == = ]]; then
        cur=
    elif [[ $flag == = ]]; then
        flag=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case ${flag/#--/-} in
        -dump|-config-file|-file|-password-file|-client-cert|-client-key|-client-ca-keys|-web-config-file)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return ;;
        -confdir|-destdir)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -d -- "$cur")
            return ;;
        -sample|-prefix|-wait|-node|-srv-domain|-srv-record|-dial-timeout|-request-timeout|-username|-password|-interval|-shutdown-timeout|-listen) return ;;
        -o) words="table json" ;;
        -backend) words="etcd etcdv3 file" ;;
        -scheme) words="http https" ;;
        -log-level) words="debug info warn error" ;;
        -log-format) words="text json" ;;
        *) cur=${cur/#--/-} words="-onetime -noop -exit-code -check -show -o -dump -sample -version -confdir -config-file -prefix -sync-only -destdir -keep-stage-file -wait -backend -node -srv-domain -srv-record -scheme -file -dial-timeout -request-timeout -username -password -password-file -basic-auth -client-cert -client-key -client-ca-keys -client-insecure -interval -watch -shutdown-timeout -listen -web-config-file -log-level -log-format -help" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
} && complete -F _pc4patroni pc4patroni
