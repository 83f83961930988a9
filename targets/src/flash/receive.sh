# $1 folder, $2 SHA-256, $3 size, $4 size of what is there, $5 seconds that it may take, $6 owner. Receives the rest on
# stdin, compares, syncs, and only then gives it its name. The lock is that of the agent.
fail() { echo "$2" >&2; exit "$1"; }
umask 022
mkdir -p "$1/incoming" || exit 79
[ ! -h "$1/lock" ] && [ ! -h "$1/incoming" ] || fail 79 "there are links in the folder, which lead elsewhere"
if command -v flock >/dev/null 2>&1; then
    exec 9<>"$1/lock" || exit 79
    said=$(flock -n 9 2>&1 9<&9) # ksh passes on only what is named
    case $? in
        0) printf '%s\n%s\n%s\n' "$6" "$$" "$(date +%s 2>/dev/null)" >"$1/lock" ;;
        1) exit 75 ;;
        *) fail 78 "$said" ;;
    esac
fi # Without the tool the agent takes the lock; two that write here at once are found out by the sum.
part="$1/incoming/edge-runner-$2.part"
[ ! -h "$part" ] || rm -f "$part"
if [ "$4" = 0 ] || [ ! -f "$part" ]; then : >"$part" || exit 79; fi
[ "$(size_of "$part")" = "$4" ] || exit 76
limit=
if [ "$(timeout 9 echo works 2>/dev/null)" = works ]; then limit="timeout $5"; fi
$limit cat >>"$part"
case $? in
    0) ;;
    124 | 143) exit 74 ;;
    *) exit 79 ;;
esac
[ "$(size_of "$part")" = "$3" ] || exit 76
sum=$(sum_of <"$part")
if [ "${sum%% *}" != "$2" ]; then rm -f "$part"; exit 77; fi
chmod 755 "$part" || exit 79
sync "$part" 2>/dev/null || sync || :
mv -f "$part" "$1/incoming/edge-runner-$2" || exit 79
sync "$1/incoming" 2>/dev/null || sync || :
printf 'found\t%s\n' "$1/incoming/edge-runner-$2"
