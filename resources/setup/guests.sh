# Sourced by setup.sh: guests made from Debian's packages, cached by the content of their recipes.

need_demo_guest() {
  need_guest 'demo guest' demo-guest resources/guest build-demo-guest.sh
}

need_debian_guest() {
  need_guest 'Debian guest' debian-guest resources/guest/debian build-debian-guest.sh
}

need_desktop_guest() {
  need_guest 'desktop guest' desktop-guest resources/guest/debian build-debian-guest.sh desktop
}

# need_guest WHAT CACHE FOLDER SCRIPT [VARIANT]: the newest is .cache/CACHE/current.
need_guest() {
  cache=.cache/$2
  # Not the recipe that is in a folder of this one.
  recipe=$(cd "$3" && find . -path ./debian -prune -o -type f -print | LC_ALL=C sort |
    xargs sha256sum | sha256sum)
  recipe=$(echo "$recipe" | cut -c 1-16)
  [ "$(cat "$cache/current/recipe" 2>/dev/null)" != "$recipe" ] || return 0
  say "building the $1 from Debian packages"
  mkdir -p "$cache"
  # Built aside and put in place at once: an interrupted or a second build harms nothing.
  new=$(mktemp -d "$cache/building.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  trap 'exit 130' INT TERM
  quietly "the recipe of the $1" sh "$3/$4" "$new" ${5+"$5"} || exit 1
  echo "$recipe" >"$new/recipe"
  chmod 755 "$new"
  name=$recipe-$(cat "$new/kernel-release")
  if [ -e "$cache/$name" ]; then rm -rf "$new"; else mv "$new" "$cache/$name"; fi
  ln -s "$name" "$cache/current.$$"
  mv -T "$cache/current.$$" "$cache/current"
}
