# shellcheck shell=bash
# What the scripts share: words on the terminal, root, and the two forms of Compose.
# Source it; it runs nothing.

# Progress goes to standard error, so that a script's output stays data.
say() { printf '%s\n' "$@" >&2; }

die() {
    printf 'error: %s\n' "$1" >&2
    shift
    [[ $# -eq 0 ]] || printf '       %s\n' "$@" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# as_root SCRIPT ARGS...: starts the script again as root if it is not, keeping the environment.
as_root() {
    [[ $EUID -eq 0 ]] && return
    have sudo || die "$(basename "$1") needs root, and sudo is not installed" "run it as root"
    say "$(basename "$1") needs root: using sudo"
    exec sudo --preserve-env -- env "PATH=$PATH" "$@"
}

# Sets compose_command to the Compose that is there: the v2 plugin if Docker has it, else docker-compose.
find_compose() {
    compose_command=(docker compose)
    docker compose version >/dev/null 2>&1 || compose_command=(docker-compose)
}
compose() { "${compose_command[@]}" "$@"; }

docker_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# debian_sources SUITE: Debian's packages of that suite from where this machine gets its own, as lines of sources.list.
debian_sources() {
    local codename
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    apt-get indextargets --format "\$(REPO_URI) \$(RELEASE) \$(COMPONENT)" 'Created-By: Packages' | sort -u |
        awk -v code="$codename" -v suite="$1" '
            $3 == "main" && ($2 == code || $2 == code "-updates" || $2 == code "-security") {
                sub("^" code, suite, $2)
                print "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]", $1, $2, $3
            }'
}
