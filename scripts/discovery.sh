# Connecting and discovering by HTTP, for the scripts that measure discovery. Sourced after lib.sh.
# shellcheck shell=bash

# post KEY PATH BODY: prints the answer; fails, with the answer on standard error, when it is not a success.
post() {
    local answer
    answer=$(curl -s --noproxy '*' --max-time 60 -H "Authorization: Bearer $1" -H 'Content-Type: application/json' \
        -d "$3" "http://$LISTEN/api/v1$2")
    if ! jq -e '.success == true' >/dev/null 2>&1 <<<"$answer"; then
        echo "POST $2 answered: $answer" >&2
        return 1
    fi
    echo "$answer"
}

# make_reader KIND DATABASE PASSWORD: a user named reader who may read all of the database.
make_reader() {
    case "$1" in
    postgres)
        postgres_admin "$2" <<SQL
DO \$\$
DECLARE schema_name name;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'reader') THEN CREATE ROLE reader LOGIN; END IF;
    ALTER ROLE reader PASSWORD '$3';
    FOR schema_name IN SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema' LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO reader', schema_name);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO reader', schema_name);
    END LOOP;
END
\$\$;
SQL
        ;;
    mysql)
        mysql_admin -e "CREATE USER IF NOT EXISTS reader IDENTIFIED BY '$3'; GRANT SELECT, SHOW VIEW, TRIGGER ON \`$2\`.* TO reader"
        ;;
    esac
}

# connect KEY KIND DATABASE PASSWORD
connect() {
    local port=$POSTGRES_PORT
    [ "$2" = postgres ] || port=$MYSQL_PORT
    post "$1" "/integrations/$2/connect" "$(jq -n --arg database "$3" --arg password "$4" --arg port "$port" --rawfile ca "$CA_PEM" \
        '{credentials: {host: "localhost", port: $port, database: $database, user: "reader", password: $password,
          sslmode: "verify-full", ca_pem: $ca}}')" >/dev/null
}

# discover KEY KIND: prints the result of the discovery; a long one is polled until it ends.
discover() {
    local answer id
    answer=$(post "$1" "/integrations/$2/discover" '{}') || return 1
    id=$(jq -r '.data.discoveryId // empty' <<<"$answer")
    if [ -z "$id" ]; then
        jq -c .data <<<"$answer"
        return
    fi
    while [ "$(jq -r .data.status <<<"$answer")" = running ]; do
        sleep 0.02
        answer=$(curl -s --noproxy '*' -H "Authorization: Bearer $1" "http://$LISTEN/api/v1/integrations/$2/discoveries/$id")
    done
    if ! jq -ce 'select(.data.status == "finished") | .data.result' <<<"$answer"; then
        echo "the discovery answered: $answer" >&2
        return 1
    fi
}
