exec 9<"$1" || exit 126
sum=$(sum_of <&9)
if [ "${sum%% *}" != "$2" ]; then
    echo "$1 was changed after it was found; flash it anew" >&2
    exit 126
fi
# Hashing has read to the end of descriptor 9; what it leads to stays the same.
program=/proc/self/fd/9
[ -x "$program" ] || program=$1
said=$("$program" --version 2>&1 >/dev/null)
case $? in
    0) ;;
    126) echo "cannot start the runner from its folder: $said; where that is mounted noexec, choose another with --folder" >&2; exit 126 ;;
    127) echo "cannot start the runner: its loader or C library is not there; choose another --target ($said)" >&2; exit 127 ;;
    *) echo "cannot start the runner: $said" >&2; exit 125 ;;
esac
exec "$program" "$3" --folder "$4" --owner "$5"
