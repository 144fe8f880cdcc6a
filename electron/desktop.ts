/** The composition root: joins the agent's state to tray, window, notifications and host. */
import { app, BrowserWindow, clipboard, dialog, nativeTheme, type WebContents } from 'electron';
import { programVersion, screenSocketPath, stateDirectory } from '../src/api/index.ts';
import { asSojournError, SojournError, toWireError } from '../src/common/index.ts';
import type { Route } from '../src/ui/index.ts';
import { perform } from './actions.ts';
import { AgentLink } from './agent/index.ts';
import { arrivals, noAbsent } from './arrivals.ts';
import { Bridge, type ShellMessage } from './ipc/index.ts';
import { setStartAtLogin, startsAtLogin } from './login-item.ts';
import { decide, noMemory, showNotification } from './notifications/index.ts';
import { type AppPaths, appPaths } from './paths.ts';
import { SettingsFile } from './settings.ts';
import { Host } from './system/index.ts';
import {
  type Action,
  describeTray,
  nativeItems,
  type Panel,
  type Setting,
  type ShownEstimate,
  sentenceLabel,
  steadyEstimate,
  TrayIcon,
  watchPanel,
} from './tray/index.ts';
import { Updates, updatesAreOffered } from './updates.ts';
import {
  guardSession,
  MainWindow,
  PAGE_ORIGIN,
  pageSession,
  ScreenWindows,
  servePage,
  showWindowMenu,
} from './window/index.ts';
import { type Language, languageOf, type Words, wordsOf } from './words/index.ts';

/** At login the panel may come after us; without one by then the window is opened instead, ms. */
const PANEL_GRACE_MS = 20_000;

export interface DesktopOptions {
  /** Started at login: nobody asked for the window. */
  readonly hidden: boolean;
  readonly route: Route | undefined;
  /** Told what was refused to the page. */
  readonly refused: (what: string) => void;
}

export class Desktop {
  readonly #paths: AppPaths = appPaths();
  readonly #language: Language = languageOf(app.getLocale());
  readonly #words: Words = wordsOf(this.#language);
  readonly #version = programVersion();
  readonly #settings: SettingsFile;
  readonly #link: AgentLink;
  readonly #bridge: Bridge;
  readonly #window: MainWindow;
  readonly #screens: ScreenWindows;
  readonly #host: Host;
  readonly #updates = new Updates();
  #panel: Panel | undefined;
  #tray: TrayIcon | undefined;
  #startAtLogin: boolean;
  #memory = noMemory;
  #absent = noAbsent;
  #estimates = new Map<string, ShownEstimate>();
  /** What the window's menu was made of. */
  #windowMenu = '';
  #grace: NodeJS.Timeout | undefined;
  /** The version of another agent that was asked about. */
  #asked: string | undefined;

  private constructor(settings: SettingsFile, startAtLogin: boolean, options: DesktopOptions) {
    this.#settings = settings;
    this.#startAtLogin = startAtLogin;
    this.#link = new AgentLink({
      stateDirectory: stateDirectory(),
      root: this.#paths.agentRoot,
      bundledNode: this.#paths.bundledNode,
      log: this.#paths.agentLog,
      agentArguments: ['--profile', 'device'],
    });
    this.#window = new MainWindow({
      preload: this.#paths.preload,
      icon: this.#paths.windowIcon,
      staysAfterClose: () => this.#panel?.there === true || process.platform === 'darwin',
      changed: () => this.#refresh(),
    });
    this.#screens = new ScreenWindows({
      preload: this.#paths.preload,
      icon: this.#paths.windowIcon,
    });
    this.#host = new Host({
      tell: (conditions) => this.#link.client.call('agent.conditions', conditions),
      log: (problem) => console.warn(`the agent was not told of the host: ${problem}`),
    });
    this.#bridge = new Bridge({
      origin: PAGE_ORIGIN,
      screenSocket: screenSocketPath(stateDirectory()),
      connect: () => this.#link.connect(),
      shell: (message, sender) => this.#shell(message, sender),
      refused: options.refused,
    });
  }

  static async start(options: DesktopOptions): Promise<Desktop> {
    const settings = await SettingsFile.read(appPaths().settings);
    const desktop = new Desktop(settings, await startsAtLogin(), options);
    servePage(pageSession(), desktop.#paths.page);
    await guardSession(pageSession(), options.refused);
    await desktop.#begin(options);
    return desktop;
  }

  open(route: Route): void {
    this.#window.open(route);
    this.#refresh();
  }

  /** Without a tray nothing of the app is left to be seen. */
  windowsClosed(): void {
    if (this.#panel?.there !== true && process.platform !== 'darwin') app.quit();
  }

  close(): void {
    clearTimeout(this.#grace);
    this.#window.letGo();
    this.#host.close();
    this.#panel?.close();
    this.#tray?.destroy();
    this.#tray = undefined;
    this.#link.close();
  }

  async #begin({ hidden, route }: DesktopOptions): Promise<void> {
    this.#panel = await watchPanel((there) => this.#panelChanged(there));
    if (this.#panel.there) this.#showTray();
    this.#link.on('state', () => this.#agentChanged());
    nativeTheme.on('updated', () => this.#refresh());
    this.#link.start();
    if (route !== undefined || !hidden) this.open(route ?? { view: 'dashboard' });
    else if (!this.#panel.there) {
      this.#grace = setTimeout(() => this.open({ view: 'dashboard' }), PANEL_GRACE_MS);
    }
    this.#updates.set(this.#settings.current.automaticUpdates);
    await this.#host.start();
  }

  #panelChanged(there: boolean): void {
    clearTimeout(this.#grace);
    if (!there) {
      // The way back to a hidden window went with it.
      if (!this.#window.isOpen) this.open({ view: 'dashboard' });
    } else if (this.#tray === undefined) this.#showTray();
    else this.#tray.again();
  }

  #showTray(): void {
    this.#tray = new TrayIcon(
      {
        icons: this.#paths.icons,
        perform: (action) => this.#perform(action),
        clicked: () => this.open({ view: 'dashboard' }),
      },
      this.#describe(),
    );
  }

  #agentChanged(): void {
    const { state } = this.#link;
    const status = state.kind === 'connected' ? state.status : undefined;
    this.#estimates = new Map(
      (status?.guests ?? []).flatMap(({ id, standby }) => {
        const shown = this.#estimates.get(id);
        const next = steadyEstimate(shown, standby?.estimateMs ?? null, performance.now());
        return next === undefined ? [] : [[id, next]];
      }),
    );
    this.#host.agentChanged(status);
    if (status !== undefined) {
      const watched = this.#window.isWatched || !this.#settings.current.notifications;
      const told = decide(this.#memory, status, Date.now(), watched, this.#words);
      this.#memory = told.memory;
      for (const message of told.show)
        showNotification(
          message,
          (route) => this.open(route),
          (action) => this.#perform(action),
        );
    }
    if (status !== undefined) {
      const { arrived, absent } = arrivals(this.#absent, status);
      this.#absent = absent;
      if (this.#settings.current.screenOnArrival)
        for (const guest of arrived) this.#screens.open(guest, { inFront: false });
    }
    if (state.kind === 'foreign') void this.#askToReplace(state.greeting.version);
    this.#refresh();
  }

  #describe() {
    return describeTray({
      agent: this.#link.state,
      appVersion: this.#version,
      language: this.#language,
      startAtLogin: this.#startAtLogin,
      notifications: this.#settings.current.notifications,
      screenOnArrival: this.#settings.current.screenOnArrival,
      automaticUpdates: updatesAreOffered() ? this.#settings.current.automaticUpdates : undefined,
      estimates: new Map([...this.#estimates].map(([id, { ms }]) => [id, ms])),
    });
  }

  #refresh(): void {
    const description = this.#describe();
    this.#tray?.show(description);
    const menu = JSON.stringify(description.menu);
    if (menu === this.#windowMenu) return;
    this.#windowMenu = menu;
    showWindowMenu(nativeItems(description.menu, (action) => this.#perform(action)));
  }

  #perform(action: Action): void {
    perform(action, {
      link: this.#link,
      open: (route) => this.open(route),
      openScreen: (guest) => this.#screens.open(guest, { inFront: true }),
      // The panel that was clicked gets its answer first.
      quit: () => void setImmediate(() => app.quit()),
      set: (setting, to) => this.#set(setting, to),
    }).catch((error: unknown) => {
      const { kind, code, message, remedy } = toWireError(asSojournError(error));
      // Somebody cancelled it, which is no failure.
      if (kind === 'cancelled') return;
      const notice = {
        key: code,
        severity: 'warning',
        title: message,
        body: remedy ?? '',
      } as const;
      showNotification({ ...notice, route: { view: 'dashboard' } }, (route) => this.open(route));
    });
  }

  async #set(setting: Setting, to: boolean): Promise<void> {
    if (setting === 'startAtLogin') {
      await setStartAtLogin(to);
      this.#startAtLogin = await startsAtLogin();
    } else {
      await this.#settings.change({ [setting]: to });
      this.#updates.set(this.#settings.current.automaticUpdates);
    }
    this.#refresh();
  }

  async #askToReplace(version: string): Promise<void> {
    if (this.#asked === version) return;
    this.#asked = version;
    const { foreignPrompt } = this.#words;
    const { response } = await dialog.showMessageBox({
      type: 'question',
      title: 'Sojourn',
      message: foreignPrompt.title,
      detail: `${foreignPrompt.newer(sentenceLabel(version), this.#version)}\n\n${foreignPrompt.detail}`,
      buttons: [foreignPrompt.later, foreignPrompt.replace],
      defaultId: 1,
      cancelId: 0,
      noLink: true,
    });
    if (response === 1) this.#link.replace();
  }

  async #shell(message: ShellMessage, sender: WebContents): Promise<unknown> {
    const window = BrowserWindow.fromWebContents(sender);
    if (window === null)
      throw new SojournError({
        kind: 'internal',
        code: 'window-gone',
        message: 'The window is gone',
      });
    switch (message.do) {
      case 'open-screen':
        this.#screens.open(message.guest, { inFront: true });
        return null;
      case 'read-clipboard':
        // For pasting into the guest that a person is just using, and for nothing else.
        if (window.isFocused() && this.#bridge.showsScreen(sender)) return clipboard.readText();
        throw new SojournError({
          kind: 'refused',
          code: 'clipboard-refused',
          message: 'Only a window that shows a screen and has the focus reads the clipboard',
        });
      case 'pick-path': {
        const { canceled, filePaths } = await dialog.showOpenDialog(window, {
          properties: ['openDirectory'],
        });
        return canceled ? null : (filePaths[0] ?? null);
      }
    }
  }
}
