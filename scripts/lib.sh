# shellcheck shell=bash
# What the scripts share: words on the terminal, root, and the two forms of Compose.
# Source it; it runs nothing.

# Progress goes to standard error, so that a script's output stays data.
say() { printf '%s\n' "$*" >&2; }

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

# as_root gives HOME to root on some machines; files a user will want to remove belong to the user.
give_to_user() {
    [[ -z ${SUDO_UID:-} ]] || chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$@"
}

# The Compose that is there: the v2 plugin if Docker has it, else docker-compose.
compose() {
    if docker compose version >/dev/null 2>&1; then
        docker compose "$@"
    else
        docker-compose "$@"
    fi
}

docker_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
