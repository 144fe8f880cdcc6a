import { describe, expect, test } from 'vitest';
import { parseIwDevices, parseIwLink, parseIwStation } from '../../src/link/sensors/iw-text.ts';
import { parseSystemProfiler, parseWdutil } from '../../src/link/sensors/macos.ts';
import { parseNetsh } from '../../src/link/sensors/windows.ts';

const iwLink = `Connected to 58:11:22:27:c5:d4 (on wlp0s20f3)
	SSID: INSA_ASUS_5G
	freq: 5660
	RX: 127122 bytes (136 packets)
	TX: 9270 bytes (78 packets)
	signal: -53 dBm
	rx bitrate: 206.5 MBit/s HE-MCS 8 HE-NSS 2 HE-GI 0 HE-DCM 0
	tx bitrate: 58.5 MBit/s HE-MCS 3 HE-NSS 2 HE-GI 2 HE-DCM 0

	bss flags:	short-slot-time
	dtim period:	1
	beacon int:	100
`;

const stationDump = `Station c4:04:15:5d:97:22 (on wlan0)
	inactive time:	48 ms
	rx bytes:	21670
	rx packets:	147
	tx bytes:	11529
	tx packets:	100
	tx retries:	88
	tx failed:	36
	beacon loss:	1
	beacon rx:	31
	rx drop misc:	47
	signal:  	-72 [-74, -75] dBm
	signal avg:	-71 [-74, -75] dBm
	beacon signal avg:	-71 dBm
	tx bitrate:	54.0 MBit/s MCS 3 40MHz
	rx bitrate:	1.0 MBit/s
	authorized:	yes
`;

describe('iw', () => {
  test('link', () => {
    expect(parseIwLink(iwLink)).toEqual({
      connected: true,
      bssid: '58:11:22:27:c5:d4',
      ssid: 'INSA_ASUS_5G',
      frequencyMhz: 5660,
      signalDbm: -53,
      rxRateMbps: 206.5,
      txRateMbps: 58.5,
      rxBytes: 127122,
      txBytes: 9270,
    });
  });

  test('newer iw prints a frequency with a fraction', () => {
    expect(parseIwLink(iwLink.replace('5660', '5660.0'))?.frequencyMhz).toBe(5660);
  });

  test('not connected, and text that is something else', () => {
    expect(parseIwLink('Not connected.\n')).toEqual({ connected: false });
    expect(parseIwLink('')).toBeUndefined();
    expect(parseIwLink('command failed: No such device (-19)\n')).toBeUndefined();
  });

  test('a name cannot pass for a field', () => {
    const evil = iwLink.replace('INSA_ASUS_5G', 'x signal: -10 dBm');
    expect(parseIwLink(evil)).toMatchObject({ ssid: 'x signal: -10 dBm', signalDbm: -53 });
  });

  test('station dump', () => {
    expect(parseIwStation(stationDump)).toEqual({
      bssid: 'c4:04:15:5d:97:22',
      signalDbm: -72,
      txRateMbps: 54,
      rxRateMbps: 1,
      txPackets: 100,
      txRetries: 88,
      txFailed: 36,
      beaconLoss: 1,
      txBytes: 11529,
      rxBytes: 21670,
    });
    expect(parseIwStation('')).toBeUndefined();
  });

  test('every truncation of a dump is read or refused, never misread', () => {
    for (let end = 0; end <= stationDump.length; end++) {
      const found = parseIwStation(stationDump.slice(0, end));
      if (found?.signalDbm !== undefined) expect([-7, -72]).toContain(found.signalDbm);
    }
  });

  test('devices in station mode', () => {
    const text = `phy#0
	Interface wlan0
		ifindex 3
		type managed
	Interface mon0
		type monitor
phy#1
	Unnamed/non-netdev interface
		type P2P-device
	Interface wlp2s0
		type managed
`;
    expect(parseIwDevices(text)).toEqual(['wlan0', 'wlp2s0']);
  });
});

const profiler = (network: object | undefined) =>
  JSON.stringify({
    SPAirPortDataType: [
      {
        spairport_airport_interfaces: [
          {
            _name: 'en0',
            spairport_status_information: 'spairport_status_connected',
            ...(network === undefined ? {} : { spairport_current_network_information: network }),
          },
          {
            _name: 'awdl0',
            spairport_current_network_information: { spairport_network_type: 'x' },
          },
        ],
      },
    ],
  });

describe('macOS', () => {
  test('system_profiler, names hidden', () => {
    const text = profiler({
      _name: '<redacted>',
      spairport_network_channel: '44 (5GHz, 80MHz)',
      spairport_network_phymode: '802.11ax',
      spairport_network_rate: 573,
      spairport_signal_noise: '-63 dBm / -89 dBm',
    });
    expect(parseSystemProfiler(text)).toEqual({
      medium: 'wifi',
      connected: true,
      signalDbm: -63,
      txRateMbps: 573,
      frequencyMhz: 5220,
    });
  });

  test('system_profiler, 2.4 and 6 GHz', () => {
    const on = (channel: string) =>
      parseSystemProfiler(
        profiler({
          spairport_network_channel: channel,
          spairport_signal_noise: '-46 dBm / -96 dBm',
        }),
      )?.frequencyMhz;
    expect(on('6 (2GHz, 20MHz)')).toBe(2437);
    expect(on('37 (6GHz, 160MHz)')).toBe(6135);
  });

  test('system_profiler, not connected or not JSON', () => {
    expect(parseSystemProfiler(profiler(undefined))).toEqual({ medium: 'wifi', connected: false });
    expect(parseSystemProfiler('system_profiler: error')).toBeUndefined();
    expect(parseSystemProfiler('{"SPAirPortDataType":7}')).toBeUndefined();
  });

  test('wdutil', () => {
    const text = `————————————————————————————————————————————————————————————————————
WIFI
————————————————————————————————————————————————————————————————————
    MAC Address          : a1:b2:c3:d4:e5:f6 (hw=a1:b2:c3:d4:e5:f6)
    Interface Name       : en0
    Power                : On [On]
    Op Mode              : STA
    SSID                 : Corp Guest WiFi
    BSSID                : AA:bb:cc:dd:ee:ff
    RSSI                 : -61 dBm
    CCA                  : 12 %
    Noise                : -92 dBm
    Tx Rate              : 1201.0 Mbps
    Security             : WPA3 Enterprise
    PHY Mode             : 11ax
    MCS Index            : 11
    Guard Interval       : 800
    NSS                  : 2
    Channel              : 5g36/80
`;
    expect(parseWdutil(text)).toEqual({
      medium: 'wifi',
      connected: true,
      signalDbm: -61,
      txRateMbps: 1201,
      frequencyMhz: 5180,
      network: 'Corp Guest WiFi',
      bssid: 'aa:bb:cc:dd:ee:ff',
    });
    expect(parseWdutil(text.replace('-61 dBm', '0 dBm'))).toEqual({
      medium: 'wifi',
      connected: false,
    });
    expect(parseWdutil('usage: sudo wdutil')).toBeUndefined();
  });
});

const english = `
There is 1 interface on the system:

    Name                   : Wi-Fi
    Description            : Intel(R) Wireless-AC 9462
    GUID                   : 62f1bb96-44fe-4723-85d5-87143052b0b2
    Physical address       : e0:2b:e9:1c:9c:42
    Interface type         : Primary
    State                  : connected
    SSID                   : PROFENAA-5G
    AP BSSID               : 8c:c7:c3:09:1d:70
    Band                   : 5 GHz
    Channel                : 36
    Connected Akm-cipher   : [ akm = 00-0f-ac:02, cipher =  00-0f-ac:04 ]
    Network type           : Infrastructure
    Radio type             : 802.11ac
    Authentication         : WPA2-Personal
    Cipher                 : CCMP
    Connection mode        : Auto Connect
    Receive rate (Mbps)    : 263.3
    Transmit rate (Mbps)   : 433.3
    Signal                 : 84%
    Rssi                   : -57
    Profile                : PROFENAA-5G
    QoS MSCS Configured         : 0
    QoS Map Configured          : 0
`;

// German, with the console's own code page: umlauts are single bytes that no label may depend on.
const german = `
Es ist 1 Schnittstelle auf dem System vorhanden:

    Name                   : WLAN
    Beschreibung           : Intel(R) Wi-Fi 6E AX211 160MHz
    GUID                   : 3F9A7C1E-1111-2222-3333-444455556666
    Physische Adresse      : aa:bb:cc:dd:ee:ff
    Schnittstellentyp      : Prim\u0084r
    Status                 : Verbunden
    SSID                   : HeimNetz
    BSSID                  : 11:22:33:44:55:66
    Netzwerktyp            : Infrastruktur
    Funktyp                : 802.11ax
    Authentifizierung      : WPA3-Personal
    Verschl\u0081sselung       : CCMP
    Verbindungsmodus       : Automatische Verbindung
    Band                   : 2,4 GHz
    Kanal                  : 11
    Empfangsrate (MBit/s)  : 1201
    \u009abertragungsrate (MBit/s) : 960,7
    Signal                 : 94%
    Profil                 : HeimNetz

    Status der gehosteten Netzwerke : Nicht verf\u0081gbar
`;

const russian = `
В системе есть 1 интерфейс:

    Имя                    : Беспроводная сеть
    Физический адрес       : 1c:ce:51:98:dd:1c
    Состояние              : подключено
    SSID                   : HomeNet
    BSSID точки доступа    : aa:bb:cc:dd:ee:01
    Диапазон               : 5 ГГц
    Канал                  : 36
    Тип сети               : Инфраструктура
    Проверка подлинности   : WPA2-Personal
    Скорость приема (Мбит/с) : 1201
    Сигнал                 : 100%
    QoS MSCS настроен           : 0
`;

describe('Windows', () => {
  test('English, with an RSSI', () => {
    expect(parseNetsh(english)).toEqual({
      medium: 'wifi',
      connected: true,
      signalDbm: -57,
      frequencyMhz: 5180,
      rxRateMbps: 263.3,
      txRateMbps: 433.3,
      network: 'PROFENAA-5G',
      bssid: '8c:c7:c3:09:1d:70',
    });
  });

  test('German, decimal comma, percentage only', () => {
    expect(parseNetsh(german)).toEqual({
      medium: 'wifi',
      connected: true,
      signalDbm: -53,
      frequencyMhz: 2462,
      rxRateMbps: 1201,
      txRateMbps: 960.7,
      network: 'HeimNetz',
      bssid: '11:22:33:44:55:66',
    });
  });

  test('Russian, one rate missing', () => {
    expect(parseNetsh(russian)).toEqual({
      medium: 'wifi',
      connected: true,
      signalDbm: -50,
      frequencyMhz: 5180,
      rxRateMbps: 1201,
      network: 'HomeNet',
      bssid: 'aa:bb:cc:dd:ee:01',
    });
  });

  test('addresses with hyphens, no band', () => {
    const text = english
      .replace(/^ {4}(Band|Rssi).*\n/gm, '')
      .replace('8c:c7:c3:09:1d:70', '8c-c7-c3-09-1d-70');
    expect(parseNetsh(text)).toMatchObject({
      bssid: '8c:c7:c3:09:1d:70',
      frequencyMhz: 5180,
      signalDbm: -58,
    });
  });

  test('not connected, no interface', () => {
    const off = english.split('\n').slice(0, 8).join('\n');
    expect(parseNetsh(off)).toEqual({ medium: 'wifi', connected: false });
    expect(parseNetsh('Der Dienst "wlansvc" wird nicht ausgeführt.')).toBeUndefined();
  });
});
