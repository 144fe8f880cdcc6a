import type { Messages } from './en.ts';

const TRY_AGAIN = 'どちらかのデバイスでもう一度始めてください';
const TRUSTED = '信頼できるネットワークでもう一度試してください';

type Texts = Pick<Messages, 'nearby' | 'receiving' | 'incoming'> & {
  readonly failures: Partial<Messages['failures']>;
};

export const receivingJa = {
  nearby: {
    title: '近くのデバイスとペアリング',
    open: '近くのデバイスとペアリング',
    help: '相手のデバイスでもこの画面を開いてください。同じネットワークにある必要があります。',
    visible: (name: string) => `開いている間、近くのデバイスには ${name} と表示されます。`,
    looking: 'デバイスを探しています…',
    devices: '近くのデバイス',
    pair: 'ペアリング',
    pairWith: (name: string) => `${name} とペアリング`,
    already: 'ペアリング済み',
    connecting: (name: string) => `${name} に接続しています…`,
    question: (name: string) => `${name} に同じ番号が表示されていますか？`,
    code: '比べる番号',
    asks: (name: string) => `${name} がこのデバイスとのペアリングを求めています。`,
    left: (time: string) => `残り ${time}`,
    same: 'はい、同じです',
    different: 'いいえ、違います',
    there: (name: string) => `${name} では確認されました。`,
    waiting: (name: string) => `${name} を待っています…`,
    done: (name: string) => `${name} とペアリングしました`,
    doneHelp: 'ゲストが行き来できるようになりました。ここでできることは「権限」で決められます。',
    warning: 'そのデバイスを使う人は、渡したゲストのメモリーとディスクを読めます。',
    cancel: 'ペアリングを中止',
  },
  receiving: {
    title: 'セッションの受け入れ',
    help: 'ほかの場所のゲストがここへ来てよいかどうか。自分のゲストはいつでも戻れます。',
    all: '個別に決めていない場所から',
    modes: { off: 'オフ', ask: '確認する', always: '常に' },
    asAll: (mode: string) => `共通の設定: ${mode}`,
    listens: (addresses: string) => `ほかのデバイスからの接続先: ${addresses}`,
    rights: '権限',
    rightsOf: (place: string) => `${place} の権限`,
    from: (place: string) => `${place} からのゲスト`,
    fetch: '以前そこにいたゲストを求めてよい',
    limits: 'そのゲストがここで使える上限（空欄は無制限）',
    guests: 'ゲスト数',
    memory: 'メモリー（GiB）',
    disk: 'ディスク（GiB）',
    apply: '適用',
    facts: (mode: string, fetch: boolean) => (fetch ? `${mode}、ゲストを求めてよい` : mode),
    limited: (limits: string) => `上限 ${limits}`,
    countGuests: (count: number) => `ゲスト ${count} 台`,
    ofMemory: (amount: string) => `メモリー ${amount}`,
    ofDisk: (amount: string) => `ディスク ${amount}`,
  },
  incoming: {
    title: (guest: string) => `${guest} を受け入れますか？`,
    help: (place: string) => `${place} がここへ渡そうとしています。`,
    standby: (place: string) => `${place} がここで待機させようとしています。`,
    from: '送り元',
    memory: 'メモリー',
    processors: 'プロセッサー',
    disk: 'ディスク（最大）',
    left: (time: string) => `応答がなければ ${time} 後に拒否されます。`,
    accept: '受け入れる',
    always: (place: string) => `${place} からは常に`,
    refuse: '拒否',
    later: (guest: string, place: string) => `${place} の ${guest} が来ようとしています`,
    answer: '応答する',
  },
  failures: {
    'pairing-refused-here': { message: 'ペアリングを中止しました', remedy: TRY_AGAIN },
    'pairing-refused-there': {
      message: '相手のデバイスでペアリングが中止されました',
      remedy: '相手に確認して、もう一度始めてください',
    },
    'pairing-codes-differ-here': {
      message: '番号が違うとのことなので、間に何かが入り込んでいるおそれがあります',
      remedy: TRUSTED,
    },
    'pairing-codes-differ-there': {
      message: '相手のデバイスで、番号が違うと答えられました',
      remedy: TRUSTED,
    },
    'pairing-timed-out': { message: '時間内に確認されませんでした', remedy: TRY_AGAIN },
    'pairing-timed-out-there': {
      message: '相手のデバイスで時間内に確認されませんでした',
      remedy: TRY_AGAIN,
    },
    'pairing-commitment-broken': {
      message: '何かが二つのデバイスの間に入り込もうとしました',
      remedy: TRUSTED,
    },
    'pairing-out-of-order': {
      message: '相手のデバイスが手順どおりに応答しません',
      remedy: '両方の Sojourn を更新して、もう一度始めてください',
    },
    'pairing-connection-lost': {
      message: '相手のデバイスとの接続が切れました',
      remedy: '同じネットワークにあるか確認して、もう一度始めてください',
    },
    'pairing-busy-there': {
      message: '相手のデバイスは別のデバイスとペアリング中です',
      remedy: '終わるのを待って、もう一度始めてください',
    },
    'pairing-too-many-tries-there': {
      message: '相手のデバイスで失敗が多すぎました',
      remedy: '10分待って、もう一度始めてください',
    },
    'pairing-too-many-tries': {
      message: 'ペアリングの失敗が多すぎました',
      remedy: '10分待って、もう一度始めてください',
    },
    'device-not-nearby': {
      message: 'そのデバイスはもうペアリングを待っていません',
      remedy: '相手のデバイスで同じ画面を開いてください',
    },
    'incoming-unknown': {
      message: 'そのゲストはもう受け入れを求めていません',
      remedy: '送り元でもう一度始めてください',
    },
  },
} satisfies Texts;
