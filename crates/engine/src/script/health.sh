# Waits until container $1 is healthy, or without a health check has run for $3 s, or where $4 is 1 has ended well; at
# most $2 s.
await_healthy() {
    local end=$((SECONDS + $2)) state
    while ((SECONDS < end)); do
        state=$(docker inspect --format \
            '{{.State.Running}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} {{.State.ExitCode}} {{.State.StartedAt}}' \
            -- "$1")
        case $state in
            "true healthy "*) return 0 ;;
            "true none "*) (($(date +%s) - $(date +%s -d "${state##* }") > $3)) && return 0 ;;
            "false "*" 0 "*) (($4)) && return 0; echo "container $1 has ended" >&2; return 1 ;;
            "false "*) echo "container $1 has ended" >&2; return 1 ;;
        esac
        sleep 0.2
    done
    echo "container $1 is not healthy after $2 s" >&2
    return 1
}
# Waits until something answers on port $4 of address $3, behind which container $1 is; at most $2 s.
await_port() {
    local end=$((SECONDS + $2)) status
    while ((SECONDS < end)); do
        status=0
        (exec 3<> "/dev/tcp/$3/$4" && IFS= read -r -t 0.5 -n 1 _ <&3) 2> /dev/null || status=$?
        ((status != 0 && status <= 128)) || return 0
        sleep 0.2
    done
    echo "container $1: nothing answers on port $4 after $2 s" >&2
    return 1
}
# Waits until container $1 answers the first of the commands from $3 on of which it has the program; at most $2 s.
await_answer() {
    local name=$1 limit=$2 end=$((SECONDS + $2)) command words status
    shift 2
    for command; do
        eval "words=($command)"
        while ((SECONDS < end)); do
            status=0
            docker exec -- "$name" "${words[@]}" > /dev/null 2>&1 || status=$?
            ((status != 0)) || return 0
            ((status != 126 && status != 127)) || continue 2
            sleep 0.2
        done
        echo "container $name: $command fails after $limit s" >&2
        return 1
    done
}
