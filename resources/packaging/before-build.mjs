/** Tells electron-builder that there are no modules to look for: the bundles contain what they need (hook `beforeBuild`). */
export default () => false;
