# Says whether there is a $1, container or network, of name $2: Docker takes the beginning of an id for a name, too.
is_there() {
    local name
    name=$(docker "$1" inspect --format '{{.Name}}' -- "$2" 2> /dev/null) && [[ ${name#/} == "$2" ]]
}
