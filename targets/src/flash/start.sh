exec 9<"$1" || exit 126
sum=$(sum_of <&9)
if [ "${sum%% *}" != "$2" ]; then
    echo "$1 was changed after it was found; flash it anew" >&2
    exit 126
fi
# Hashing has read to the end of descriptor 9; what it leads to stays the same.
program=/proc/self/fd/9
[ -x "$program" ] || program=$1
exec "$program" "$3" --folder "$4" --owner "$5"
