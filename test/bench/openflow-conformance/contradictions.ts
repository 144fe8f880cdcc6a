/** What no switch can pass that does as the specifications say. */
export interface Contradiction {
  /** Of group and pattern. */
  readonly pattern: RegExp;
  readonly section: string;
  readonly reason: string;
}

export const contradictions: readonly Contradiction[] = [
  {
    pattern: /sctp.*set_field|set_field.*sctp/i,
    section: 'OpenFlow 1.3.5, 5.12 (Set-Field) with RFC 9260, 6.8 and appendix A',
    reason:
      "the switch must make the checksum right again, but os-ken 2.5 expects the CRC of Python's text for the packet " +
      '(`str(data)` in os_ken/lib/packet/sctp.py) instead of that of its bytes',
  },
];
