import { Job, type JobJson, type JobProgress, Queue } from 'bullmq';

/**
 * A queue to which jobs may be given as finished JSON, in a Buffer. Any other data becomes JSON as in each queue of BullMQ.
 *
 * What is bytes already is copied once on its way to Redis; a long string is measured three times and copied twice.
 */
export class BytesQueue extends Queue<object> {
  protected override get Job(): typeof Job {
    return BytesJob;
  }
}

class BytesJob<D, R, N extends string, P extends JobProgress> extends Job<D, R, N, P> {
  override asJSON(): JobJson {
    const { data } = this;
    if (!Buffer.isBuffer(data)) return super.asJSON();
    this.data = {} as D;
    const fields = super.asJSON();
    this.data = data;
    // BullMQ hands it on to its client as it is, which takes bytes wherever it takes a string.
    return { ...fields, data: data as unknown as string };
  }
}
