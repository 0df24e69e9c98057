#!/bin/sh
# Runs once, when the database is made: the role the application uses. It owns nothing, so that
# row-level security holds for it; `manage.py migrate` grants it what it needs.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  --set password="$PARLEY_APP_PASSWORD" <<'SQL'
CREATE ROLE parley_app LOGIN PASSWORD :'password' NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
SQL
