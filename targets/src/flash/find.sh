# $1 folder, $2 SHA-256, $3 size. Prints the path of a whole runner, or how much of one was left.
for file in "$1"/releases/*/edge-runner "$1/incoming/edge-runner-$2"; do
    [ -f "$file" ] && [ ! -h "$file" ] && [ -x "$file" ] && [ "$(size_of "$file")" = "$3" ] || continue
    sum=$(sum_of <"$file")
    if [ "${sum%% *}" = "$2" ]; then printf 'found\t%s\n' "$file"; exit 0; fi
done
part="$1/incoming/edge-runner-$2.part"
if [ -f "$part" ] && [ ! -h "$part" ]; then printf 'begun\t%s\n' "$(size_of "$part")"; else printf 'begun\t0\n'; fi
