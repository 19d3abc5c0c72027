#!/bin/sh
# The power supply behind a simulated BMC: chassis.sh DIRECTORY get|set WHAT [VALUE].
# It keeps the BMC's own record of commands, and switches a moment after it was told to,
# as real ones do.  DIRECTORY/power holds 0 or 1, DIRECTORY/commands one line per command.
case "$2 $3" in
"get power")
    echo "power:$(cat "$1/power")"
    ;;
"set power")
    echo "$(date +%s.%N) power $4" >>"$1/commands"
    (
        sleep "$(cat "$1/delay")"
        echo "$4" >"$1/power.new"
        mv "$1/power.new" "$1/power"
    ) >/dev/null 2>&1 </dev/null &
    ;;
*)
    shift
    echo "$(date +%s.%N) $*" >>"$(dirname "$0")/unexpected"
    exit 1
    ;;
esac
