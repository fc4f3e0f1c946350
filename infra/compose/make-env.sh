#!/bin/sh
# Write .env with a random value for every name in .env.example, readable by its owner only.
set -eu
cd "$(dirname "$0")/../.."
umask 077
set -C # an .env that is there already is kept: the engines' data knows its passwords
while read -r line; do
  case $line in
    *=) echo "$line$(od -An -tx1 -N24 /dev/urandom | tr -d ' \n')" ;;
    *) echo "$line" ;;
  esac
done < .env.example > .env
echo "wrote .env"
