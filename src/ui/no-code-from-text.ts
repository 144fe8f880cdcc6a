/**
 * The page's policy forbids making code from text, which the library tries as soon as a schema is made: this has to be
 * imported before any schema.
 */
import { z } from 'zod';

z.config({ jitless: true });
