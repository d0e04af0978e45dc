import type { Disk, DiskFile } from '../../src/disk/disk.ts';

/** A disk some of whose files have other methods: a shard that is broken on purpose, from below. */
export function disturbed(disk: Disk, change: (file: DiskFile) => Partial<DiskFile>): Disk {
  return new Proxy(disk, {
    get(target, name) {
      if (name === 'open') {
        return async (path: string, options: { readonly create: boolean }): Promise<DiskFile> => {
          const file = await target.open(path, options);
          return overridden(file, change(file));
        };
      }
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

function overridden(file: DiskFile, changes: Partial<DiskFile>): DiskFile {
  return new Proxy(file, {
    get(target, name) {
      const changed: unknown = Reflect.get(changes, name);
      if (changed !== undefined) return changed;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

/** Leaves out the sync of some files. */
export function withoutSync(leftOut: (path: string) => boolean): (disk: Disk) => Disk {
  return (disk) => disturbed(disk, (file) => (leftOut(file.path) ? { sync: async () => {} } : {}));
}

/** Does not write again what can be read already, in some files. */
export function withoutRewriting(leftOut: (path: string) => boolean): (disk: Disk) => Disk {
  return (disk) =>
    disturbed(disk, (file) => {
      if (!leftOut(file.path)) return {};
      return {
        write: async (offset, bytes) => {
          const size = await file.size();
          const found = Buffer.alloc(Math.max(0, Math.min(bytes.length, size - offset)));
          await file.read(offset, found);
          if (!found.equals(bytes)) await file.write(offset, bytes);
        },
      };
    });
}
