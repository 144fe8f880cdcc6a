# Sourced by setup.sh: the Electron that the end-to-end tests run the app in.

need_electron() {
  node resources/electron/main.ts || exit 1
}
