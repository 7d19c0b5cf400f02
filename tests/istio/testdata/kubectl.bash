# What the guide's commands need of kubectl, for bash: Secrets and ConfigMaps as folders below $STORE.
kubectl() {
    local verb=$1 kind=$2 namespace= name= format= patch= key
    local -a files=()
    shift 2
    while [ $# -gt 0 ]; do
        case $1 in
            -n) namespace=$2; shift ;;
            -o) format=$2; shift ;;
            --from-file=*) files+=("${1#--from-file=}") ;;
            --patch-file=*) patch=$(cat "${1#--patch-file=}") ;;
            generic) ;;
            *) name=$1 ;;
        esac
        shift
    done
    local at=$STORE/$kind/$namespace/$name
    case $verb in
        get)
            [ -d "$at" ] || return 1
            key=${format#jsonpath=\{.data.}
            [ -z "$format" ] || base64 -w0 "$at/${key%\}}"
            ;;
        create)
            [ ! -d "$at" ] && mkdir -p "$at" || return 1
            for key in "${files[@]}"; do cat "${key#*=}" >"$at/${key%%=*}"; done
            ;;
        patch)
            [[ $patch =~ ^\{\"data\":\{\"([a-z-]+)\":\"([A-Za-z0-9+/=]+)\"\}\}$ ]] || return 1
            base64 -d <<<"${BASH_REMATCH[2]}" >"$at/${BASH_REMATCH[1]}"
            ;;
    esac
}
