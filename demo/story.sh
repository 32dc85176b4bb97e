# shellcheck shell=bash disable=SC2154  # $root, $shop, $repo, … are demo/run's
# How the demo tells its story, and how it checks it. Read by demo/run.

bold='' dim='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; fi

chapter=0
section() {
    chapter=$((chapter + 1))
    printf '\n%s%d. %s%s\n\n' "$bold" "$chapter" "$1" "$plain"
}

note() { printf '   %s\n' "$*"; }

# The command as a person would type it.
show() {
    local word words=''
    [[ $1 != compose ]] || set -- "${compose_command[@]}" "${@:2}"
    [[ $1 != "$reprise" ]] || set -- reprise "${@:2}"
    for word in "$@"; do
        [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]] || word="'${word//\'/\'\\\'\'}'"
        words+=" $word"
    done
    printf '   %s$%s%s\n' "$dim" "$words" "$plain"
}

# run COMMAND...: shown, with its output, indented.
run() {
    local status=0
    show "$@"
    "$@" </dev/null 2>&1 | sed --unbuffered 's/^/     /' || status=${PIPESTATUS[0]}
    ended "$status" "$@"
}

# run_reprise ARGS...: the same straight on the terminal, for its colours and its progress.
run_reprise() {
    local status=0
    show "$reprise" "$@"
    printf '\n'
    "$reprise" "$@" </dev/null || status=$?
    printf '\n'
    ended "$status" "$reprise" "$@"
}

# Exit code 1 is a warning, to borg and to reprise.
ended() {
    case $2:$1 in
        *:0) ;;
        borg:1 | "$reprise":1) note "(it ended with warnings)" ;;
        *) die "exit code $1 from: ${*:2}" ;;
    esac
}

# run_quietly COMMAND...: shown; its output only matters if it fails. In this shell, so that cd works.
run_quietly() {
    show "$@"
    "$@" >"$root/output" 2>&1 </dev/null || {
        cat "$root/output" >&2
        die "this failed: $*"
    }
}

psql() { compose exec -T db psql --no-psqlrc -v ON_ERROR_STOP=1 -qAtX -U shop -d shop "$@"; }

sql() {
    printf '   %sshop=> %s;%s\n' "$dim" "$1" "$plain"
    psql -c "$1" </dev/null
}

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 10000))
        if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            printf '%s' "$port"
            return
        fi
    done
}

write_products() {
    local n
    mkdir "$shop/site/products"
    for n in {1..200}; do
        printf '<!doctype html>\n<title>Product %d</title>\n<h1>Product %d</h1>\n<p>%s</p>\n' \
            "$n" "$n" "$(head -c 600 /dev/urandom | base64 -w 0)" >"$shop/site/products/$n.html"
    done
    ln -s 1.html "$shop/site/products/first.html"
}

page() { curl -sf --max-time "${2:-2}" "http://127.0.0.1:$WEB_PORT/$1"; }

wait_for_web() {
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        if page index.html >/dev/null && psql -c 'SELECT 1' >/dev/null 2>&1 </dev/null; then return; fi
        sleep 0.1
    done
    compose ps >&2 || :
    die "the shop does not answer within 30 s"
}

# --- Checks -------------------------------------------------------------------------------------------------------

# remember WHEN: every row of every table, every file of the project with its attributes, as checksums.
remember() {
    psql >"$root/$1.rows" <<'SQL'
SELECT format('SELECT %L, count(*), md5(coalesce(string_agg(md5(t::text), '''' ORDER BY t::text), '''')) FROM %I AS t', tablename, tablename)
FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename
\gexec
SQL
    (
        cd "$shop" || exit
        find . -mindepth 1 -printf '%p %y %m %U:%G %s %TY-%Tm-%Td %TT %l\n' | sort
        find . -type f -print0 | sort -z | xargs -0 sha256sum
    ) >"$root/$1.files"
    [[ -s $root/$1.rows && -s $root/$1.files ]] || die "the shop's state could not be read"
}

rows() { awk -F'|' -v table="$2" '$1 == table {n = $2} END {print n == "" ? "-" : n}' "$root/$1.rows"; }
# What 'backup' has and 'damage' has not.
files_gone() { comm -23 <(file_names backup) <(file_names damage) | wc -l; }
files() { file_names "$1" | wc -l; }
file_names() { sed -nE 's/^[0-9a-f]{64}  //p' "$root/$1.files" | sort; }

# must_equal BEFORE AFTER WORDS
must_equal() {
    local kind
    for kind in rows files; do
        if ! diff --unified=0 "$root/$1.$kind" "$root/$2.$kind" >"$root/difference"; then
            head -n 20 "$root/difference" >&2
            die "$3, the $kind are not those of '$1'" "a minus is what was wanted, a plus what is there"
        fi
    done
    note "${bold}Verified${plain} $3: $(wc -l <"$root/$2.rows") tables ($(awk -F'|' '{n += $2} END {print n}' "$root/$2.rows") rows) and $(files "$2") files are exactly those of '$1'."
}

# --- Downtime as a visitor sees it: a page, asked for again and again ---------------------------------------------

watcher=''

kill_watcher() {
    [[ -n $watcher ]] || return 0
    kill "$watcher" 2>/dev/null || :
    wait "$watcher" 2>/dev/null || :
    watcher=''
}

# The time is that of the request, not of its answer. An answer that takes longer than 0.3 s counts as none.
watch_web() {
    kill_watcher
    (
        trap 'exit 0' TERM
        while kill -0 $$ 2>/dev/null; do # a killed demo leaves nothing running
            asked=$EPOCHREALTIME
            if page index.html 0.3 >/dev/null; then printf '%s up\n' "$asked"; else printf '%s down\n' "$asked"; fi
            sleep 0.02
        done
    ) >"$root/visits" 7>&- &
    watcher=$!
}

# From the last answer before to the first answer after, over all interruptions.
downtime() {
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        [[ $(tail -n 1 "$root/visits") != *down ]] && break
        sleep 0.1
    done
    kill_watcher
    awk '$2 == "up" {if (down) total += $1 - up; up = $1; down = 0} $2 == "down" {down = 1} END {printf "%.1f", total}' "$root/visits"
}

seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.1f", b - a}'; }

summary() {
    local table when
    printf '   %-22s %12s %12s %12s %12s\n' '' 'backup' 'damage' 'restored' 'rolled back'
    for table in customers products orders order_items; do
        printf '   %-22s' "rows of $table"
        for when in backup damage restore rollback; do printf ' %12s' "$(rows "$when" "$table")"; done
        printf '\n'
    done
    printf '   %-22s' 'files of the project'
    for when in backup damage restore rollback; do printf ' %12s' "$(files "$when")"; done
    printf '\n   %-22s %12s %12s %12s %12s\n' 'downtime (s)' '' '' "$restore_downtime" "$rollback_downtime"
}
