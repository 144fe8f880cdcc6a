/**
 * A guest of Sojourn's as a libvirt domain. libvirt is given what it has to know of to migrate the guest (memory,
 * processor, kernel, disk); everything else is handed to QEMU as Sojourn words it. What differs then: libvirt's own
 * monitor, memory backend and sandbox options, and that the overlay has no limit.
 */
import { z } from 'zod';

const DISK_SLOT = 8;
/** Options whose value, the next argument, is handed on. */
const HANDED_ON = ['-chardev', '-mon', '-serial', '-netdev', '-object'];
const device = /^virtio-(serial|net|balloon|rng)-pci,|^virtserialport,/;

export interface DomainOptions {
  /** Of a guest that Sojourn has started, with the paths it shall have here. */
  readonly argv: readonly string[];
  readonly overlayPath: string;
  readonly qemu: string;
}

/** Throws when the command line is not one of Sojourn's with one disk and a kernel. */
export function domainXml({ argv, overlayPath, qemu }: DomainOptions): string {
  const value = (option: string): string => {
    const found = argv[argv.indexOf(option) + 1];
    if (!argv.includes(option) || found === undefined)
      throw new Error(`the command line has no ${option}`);
    return found;
  };
  const machine = value('-machine').split(',');
  const type = machine[0]?.replace('type=', '') ?? '';
  const memoryMiB = z.coerce.number().parse(/^size=(\d+)M$/.exec(value('-m'))?.[1]);
  const codeMiB = z.coerce.number().parse(/tb-size=(\d+)/.exec(value('-accel'))?.[1]);
  const handedOn = argv.flatMap((each, index) => {
    const next = argv[index + 1] ?? '';
    const taken = HANDED_ON.includes(each) || (each === '-device' && device.test(next));
    return taken ? [each, next] : [];
  });
  const extra = ['-machine', machine.slice(1).join(','), ...handedOn];
  return `<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>${escaped(value('-name').replace(/^guest=|,.*$/g, ''))}</name>
  <uuid>${value('-uuid')}</uuid>
  <memory unit='MiB'>${memoryMiB}</memory>
  <vcpu>1</vcpu>
  <cpu mode='custom' match='exact' check='none'>
    <model fallback='forbid'>${escaped(value('-cpu').replace(/,.*$/, ''))}</model>
  </cpu>
  <os>
    <type arch='x86_64' machine='${escaped(type)}'>hvm</type>
    <kernel>${escaped(value('-kernel'))}</kernel>
    <initrd>${escaped(value('-initrd'))}</initrd>
    <cmdline>${escaped(value('-append'))}</cmdline>
  </os>
  <features><acpi/><apic/><tcg><tb-cache unit='MiB'>${codeMiB}</tb-cache></tcg></features>
  <clock offset='utc'/>
  <devices>
    <emulator>${escaped(qemu)}</emulator>
    <disk type='file' device='disk' model='virtio-non-transitional'>
      <driver name='qemu' type='qcow2' cache='unsafe' discard='unmap' detect_zeroes='unmap'
        error_policy='enospace' rerror_policy='report'/>
      <source file='${escaped(overlayPath)}'/>
      <target dev='vda' bus='virtio'/>
      <serial>disk0</serial>
      <address type='pci' domain='0' bus='0' slot='${DISK_SLOT}' function='0'/>
    </disk>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
  <qemu:commandline>
${extra.map((each) => `    <qemu:arg value='${escaped(each)}'/>`).join('\n')}
  </qemu:commandline>
</domain>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>'"]/g, (each) => `&#${each.charCodeAt(0)};`);
}
