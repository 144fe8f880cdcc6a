# Sourced by setup.sh: the demo guest, cached by the content of its recipe.

guest_recipe=resources/guest
guest_cache=.cache/demo-guest

need_demo_guest() {
  recipe=$(cd "$guest_recipe" && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum)
  recipe=$(echo "$recipe" | cut -c 1-16)
  [ "$(cat "$guest_cache/current/recipe" 2>/dev/null)" != "$recipe" ] || return 0
  say 'building the demo guest from Debian packages'
  mkdir -p "$guest_cache"
  # Built aside and put in place at once: an interrupted or a second build harms nothing.
  new=$(mktemp -d "$guest_cache/building.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  trap 'exit 130' INT TERM
  quietly 'the recipe of the demo guest' sh "$guest_recipe/build-demo-guest.sh" "$new" || exit 1
  echo "$recipe" >"$new/recipe"
  chmod 755 "$new"
  name=$recipe-$(cat "$new/kernel-release")
  [ -e "$guest_cache/$name" ] || mv "$new" "$guest_cache/$name"
  ln -s "$name" "$guest_cache/current.$$"
  mv -T "$guest_cache/current.$$" "$guest_cache/current"
}
