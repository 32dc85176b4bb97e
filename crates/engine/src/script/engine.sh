# Has Docker make container $1 as standard input describes it: `docker create` cannot say all of it.
create_container() {
    local body answer request feeder
    body=$(cat)
    # Its input stays open until it has answered: the engine takes its end for the end of who asked.
    exec {request}< <(printf 'POST /containers/create?name=%s HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' \
        "$1" "$(printf %s "$body" | wc -c)" "$body" && exec sleep 120 2>/dev/null)
    feeder=$!
    answer=$(docker system dial-stdio <&"$request")
    # While everything is put back, all else is ignored.
    kill -s KILL "$feeder" 2>/dev/null || :
    exec {request}<&-
    [[ $answer == 'HTTP/1.1 2'* ]] || { printf 'container %s: %s\n' "$1" "$answer" >&2; return 1; }
}
# How a container was made, of what `docker container inspect` tells of it.
# shellcheck disable=SC2016 # jq's own variables
blueprint='
def endpoint($short): {
    aliases: [(.Aliases // [])[] | select(. != $short)], links: (.Links // []),
    ipv4: (.IPAMConfig.IPv4Address // ""), ipv6: (.IPAMConfig.IPv6Address // ""), options: (.DriverOpts // {})};
def body: {Aliases: .aliases, Links: .links, DriverOpts: .options} +
    (if .ipv4 + .ipv6 == "" then {} else {IPAMConfig: {IPv4Address: .ipv4, IPv6Address: .ipv6}} end);
def place: rtrimstr("/");
def predefined: IN("", "default", "bridge", "host", "none");
# A volume without a name gets the name that Docker has given it.
def named($mounts): (.Target | place) as $target
    | [$mounts[] | select(.Type == "volume" and (.Destination | place) == $target).Name][0] as $name
    | if .Type == "volume" and (.Source // "") == "" and $name then .Source = $name else . end;
def blueprint: (.Mounts // []) as $mounts | (if .HostConfig.Mounts then .HostConfig.Mounts |= map(named($mounts)) else . end)
    | . as $it | .Id[:12] as $short | .HostConfig.NetworkMode as $mode
    | ($mode | startswith("container:")) as $shares
    | ([(.HostConfig.Binds // [])[] | split(":")[1] | place] + [(.HostConfig.Mounts // [])[].Target | place]) as $bound
    | ((.NetworkSettings.Networks // {})
        | with_entries(select((.key | predefined | not) or (.key == "bridge" and ($shares or ($mode | predefined) | not))))
        | map_values(endpoint($short)) | if .bridge then .bridge.aliases = [] else . end) as $networks
    | {body: (.Config
            | if $shares or $mode == "host" or $it.HostConfig.UTSMode == "host" or .Hostname == $short then del(.Hostname) else . end
            | if $shares then del(.ExposedPorts) else . end
            | .HostConfig = $it.HostConfig
            | ([$it.Mounts[]? | select(.Type == "volume" and (.Destination | place | IN($bound[]) | not)) | .Name + ":" + .Destination]) as $nameless
            | if $nameless == [] then . else .HostConfig.Binds += $nameless end
            | if $networks[$mode] then .NetworkingConfig = {EndpointsConfig: {($mode): ($networks[$mode] | body)}} else . end),
        networks: ($networks | del(.[$mode]))};'
# Says whether container $1 has written anything outside of what it mounts.
has_written() {
    local mounts
    # Those of `--tmpfs` are no mounts in the engine's words.
    mounts=$(docker container inspect -- "$1" | jq -c '.[0] | [.Mounts[]?.Destination] + ((.HostConfig.Tmpfs // {}) | keys)')
    # shellcheck disable=SC2016 # jq's own variables
    docker diff -- "$1" | jq -R -s --argjson mounts "$mounts" '
        ($mounts + ["/dev", "/proc", "/sys", "/.dockerenv", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]) as $places
        | split("\n") | map(.[2:] | select(. != "" and . != "/")) | any(. as $path
            | (any($places[]; . == $path or startswith($path + "/")) or any($mounts[]; . as $mount | $path | startswith($mount + "/"))) | not)'
}
# Keeps what container $1 was made by, and what it has written, as container $2, and removes it.
set_aside() {
    local image='' written
    is_there container "$1" || { printf 'there is no container %s\n' "$1" >&2; return 1; }
    docker stop -t 60 -- "$1"
    written=$(has_written "$1")
    if [[ $written == true ]]; then
        image=reprise-kept:$2
        docker commit -- "$1" "$image"
    fi
    docker container inspect -- "$1" | jq -c --arg image "$image" "$blueprint"'
        .[0] | blueprint | .body.Env as $env | del(.body.Env) | if $image == "" then . else .body.Image = $image end
        # The image has the labels too: what comes from it would pass for one of the project.
        | (if $image == "" then {} else (.body.Labels // {} | map_values("")) end) as $labels
        | {Image: .body.Image, Env: $env, Labels: ($labels + {"reprise.kept": tojson}),
           HostConfig: {NetworkMode: "none", Binds: .body.HostConfig.Binds, Mounts: .body.HostConfig.Mounts}}' | create_container "$2"
    docker rm -- "$1"
}
# Makes container $1 again of what container $2 keeps.
put_back() {
    is_there container "$2" || return 0
    if ! is_there container "$1"; then
        docker container inspect -- "$2" | jq -c '.[0].Config | .Env as $env
            | .Labels["reprise.kept"] | fromjson | .body | .Env = $env' | create_container "$1" || return
        docker container inspect -- "$2" | jq -r --arg name "$1" '.[0].Config.Labels["reprise.kept"] | fromjson | .networks // {}
            | to_entries[] | (.value | [(.aliases // [])[] | "--alias", .] + [(.links // [])[] | "--link", .]
                + (if (.ipv4 // "") == "" then [] else ["--ip", .ipv4] end) + (if (.ipv6 // "") == "" then [] else ["--ip6", .ipv6] end)
                + [(.options // {}) | to_entries[] | "--driver-opt", .key + "=" + .value]) + ["--", .key, $name]
            | "docker network connect " + @sh' | bash -e || return
    fi
    docker rm -- "$2" || return
    docker image rm -- "reprise-kept:$2" > /dev/null 2>&1 || :
}
