#!/bin/sh
# Runs once in the postgres container, when its volume is new: the login of fallowd gets its password before the
# migrations give it its roles. It has no rights of its own (schema/migrations/0001_roles.sql).
set -eu
psql -v ON_ERROR_STOP=1 -v password="$FALLOW_DATABASE_PASSWORD" -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'END'
CREATE ROLE fallow LOGIN NOINHERIT PASSWORD :'password';
END
